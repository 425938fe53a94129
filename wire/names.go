package wire

import (
	_ "embed" // names.txt
	"strings"
	"sync"
)

// nameOf returns the name of a field of a kmsg struct in Kafka's schemas, in camelCase, in one
// version. kmsg differs where its authors preferred another name, and where its messages are older
// than the schemas (KIP-482).
func nameOf(strct, field string, version int16) string {
	if in, ok := stopReplica[strct+"."+field]; ok {
		return in[min(version, 3)]
	}
	if name, ok := renamedIn()[strct+"."+field]; ok {
		return name
	}
	if name, ok := renamed[field]; ok {
		return name
	}
	name := spelling.Replace(field)
	return strings.ToLower(name[:1]) + name[1:]
}

// spelling replaces Go's initialisms by the words of the schemas.
var spelling = strings.NewReplacer("ID", "Id", "Millis", "Ms", "ACL", "Acl", "ISR", "Isr", "ELR", "Elr", "HMAC", "Hmac", "SASL", "Sasl", "SCRAM", "Scram", "ZK", "Zk")

// stopReplica are the names, by version, of one array in kmsg that is three arrays in the schema.
var stopReplica = map[string][4]string{
	"StopReplicaRequest.Topics":         {"ungroupedPartitions", "topics", "topics", "topicStates"},
	"StopReplicaRequestTopic.Topic":     {"topicName", "name", "name", "topicName"},
	"StopReplicaRequestTopic.Partition": {"partitionIndex", "", "", ""},
}

// renamed are the fields that have another name in most structs of the schemas.
var renamed = map[string]string{
	"ExpiryTimestamp": "expiryTimestampMs",
	"Generation":      "generationId",
	"Group":           "groupId",
	"InstanceID":      "groupInstanceId",
	"Offset":          "committedOffset",
	"Partition":       "partitionIndex",
	"Protocol":        "protocolName",
	"State":           "groupState",
	"ThrottleMillis":  "throttleTimeMs",
	"Topic":           "name",
	"Type":            "entityType",
}

// renamedIn are the fields that have another name in one struct, by "Struct.Field". The table is
// read on first use, because most programs that link this package never need it.
var renamedIn = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(renamedText) {
		if field, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && field != "#" {
			names[field] = name
		}
	}
	return names
})

//go:embed names.txt
var renamedText string
