// Package wire is Kafka's protocol as JSON: every API, every version, requests and responses.
// It is what the tools of kafka-tunnel are made of, and the one package of the module that
// others may import.
//
//	bytes  -- Frames ----> frame -- Codec.ParseRequest, ParseResponse --> Message -- Codec.AppendJSON --> JSON
//	bytes <-- AppendRequest ---------------------------------------------- Message <-- Codec.ParseJSON -- JSON
//
// A [Message] is one of kmsg's structs (github.com/twmb/franz-go/pkg/kmsg), in one version.
// In JSON its fields have the names that Kafka's own schemas have, in camelCase, and the
// version decides which there are: [Codec.Fields] lists them with their types. Integers are
// exact, bytes are base64, UUIDs have Kafka's form, tagged fields that nobody knows are kept,
// and beside an error code stands what it means. An error names the path of the value that is
// wrong, in JSON ([PathError]) as in bytes ([DecodeError]).
//
//	{"topics": [{"name": "orders", "partitions": [{"partitionIndex": 0, "errorCode": 6,
//	  "error": {"code": 6, "name": "NOT_LEADER_OR_FOLLOWER", "retriable": true, "message": "..."}}]}]}
//
// The records of Produce and Fetch messages are base64, or with [Codec.Records] batches with
// their records, of every magic and compression ([DecodeRecords]).
//
// [Dial] connects to a broker; [Conn.Request] sends any message and waits for its response.
// [Responses] does the same for bytes that come from somewhere else, in any chunks.
//
// [APIs] and [Errors] are the tables. Sources: Kafka's message schemas (in its jar
// kafka-clients, below common/message), KIP-482 for tagged fields, KIP-98 for records.
package wire
