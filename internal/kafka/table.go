package kafka

import "slices"

// Treatment is what a relay does with the response to a request.
type Treatment uint8

// The treatments.
const (
	// Pass: relay the bytes; they carry no broker address.
	Pass Treatment = iota
	// Head: hold and rewrite the leading broker array, see [PatchHead], relay the rest.
	Head
	// Whole: hold and rewrite the frame, see [PatchWhole] and [WholeBound]. One that
	// is too large to be held may be given to a [Walker] if [Streams] allows it.
	Whole
	// Tail: relay all but the bytes after the last record set, see [Walker].
	Tail
	// Refuse: do not pass the request, because its response could not be rewritten.
	Refuse
)

// String returns the name of t.
func (t Treatment) String() string {
	switch t {
	case Pass:
		return "pass"
	case Head:
		return "head"
	case Whole:
		return "whole"
	case Tail:
		return "tail"
	default:
		return "refuse"
	}
}

// The keys that this package and the relay have rules for.
const (
	KeyProduce          int16 = 0
	KeyFetch            int16 = 1
	KeyMetadata         int16 = 3
	KeyFindCoordinator  int16 = 10
	KeySaslHandshake    int16 = 17
	KeyApiVersions      int16 = 18
	KeySaslAuthenticate int16 = 36
	KeyDescribeCluster  int16 = 60
	KeyShareFetch       int16 = 78
	KeyShareAcknowledge int16 = 79
)

// An API is one row of the table.
type API struct {
	Key           int16
	Name          string
	MaxVersion    int16 // newest known version; the oldest is always 0
	FirstFlexible int16 // first version with compact strings and tags (KIP-482), -1 for none

	Treatment Treatment // of responses from version Since on; older ones pass
	Since     int16
}

// Flexible reports whether requests and responses of a version use compact
// strings and tag sections.
func (a *API) Flexible(version int16) bool {
	return a.FirstFlexible >= 0 && version >= a.FirstFlexible
}

// Rewritten reports whether responses of some version do not pass unchanged: true
// for the seven that carry addresses and for ApiVersions.
func (a *API) Rewritten() bool { return a.Treatment != Pass }

// Lookup returns the row of a key, which must not be changed.
func Lookup(key int16) (*API, bool) {
	if key < 0 || int(key) >= len(apis) {
		return nil, false
	}
	return &apis[key], true
}

// APIs returns the table, in the order of the keys. The slice is the caller's.
func APIs() []API { return slices.Clone(apis[:]) }

// Name returns the name of an API, "unknown" for a key that is not in the table.
func Name(key int16) string {
	if a, ok := Lookup(key); ok {
		return a.Name
	}
	return "unknown"
}

// Known reports whether the table has the key and the version. It tells requests
// from bare SASL tokens.
func Known(key, version int16) bool {
	a, ok := Lookup(key)
	return ok && version >= 0 && version <= a.MaxVersion
}

// TreatmentOf returns the treatment of the response to a request. Keys that are not
// in the table pass. An ApiVersions request that is newer than the table is Refuse
// too, but the relay should respond to it: see [ApiVersionsTooNew].
func TreatmentOf(key, version int16) Treatment {
	a, ok := Lookup(key)
	switch {
	case !ok || !a.Rewritten():
		return Pass
	case version < 0 || version > a.MaxVersion:
		return Refuse
	case version < a.Since:
		return Pass
	}
	return a.Treatment
}

// none marks an API of which no version is flexible.
const none = -1

// apis is the table: the row of a key is at the index of that key. Versions are those
// of Apache Kafka trunk of August 2026 (4.5.0-SNAPSHOT) as kmsg v1.15.0 has them; a
// test compares each row with kmsg.
//
// The last two columns are the policy: the treatment of responses from a version on.
// If it is not Pass, a version above the newest one of the row is refused, and removed
// from ApiVersions responses.
var apis = [...]API{
	// key, name, newest version, first flexible, treatment, since
	{0, "Produce", 13, 9, Whole, 10},
	{1, "Fetch", 18, 12, Tail, 16},
	{2, "ListOffsets", 11, 6, Pass, 0},
	{3, "Metadata", 13, 9, Head, 0},
	{4, "LeaderAndIsr", 7, 4, Pass, 0},
	{5, "StopReplica", 4, 2, Pass, 0},
	{6, "UpdateMetadata", 8, 6, Pass, 0},
	{7, "ControlledShutdown", 3, 3, Pass, 0},
	{8, "OffsetCommit", 10, 8, Pass, 0},
	{9, "OffsetFetch", 10, 6, Pass, 0},
	{10, "FindCoordinator", 6, 3, Whole, 0},
	{11, "JoinGroup", 9, 6, Pass, 0},
	{12, "Heartbeat", 4, 4, Pass, 0},
	{13, "LeaveGroup", 5, 4, Pass, 0},
	{14, "SyncGroup", 5, 4, Pass, 0},
	{15, "DescribeGroups", 6, 5, Pass, 0},
	{16, "ListGroups", 5, 3, Pass, 0},
	{17, "SaslHandshake", 1, none, Pass, 0},
	{18, "ApiVersions", 5, 3, Whole, 0},
	{19, "CreateTopics", 7, 5, Pass, 0},
	{20, "DeleteTopics", 6, 4, Pass, 0},
	{21, "DeleteRecords", 2, 2, Pass, 0},
	{22, "InitProducerId", 5, 2, Pass, 0},
	{23, "OffsetForLeaderEpoch", 4, 4, Pass, 0},
	{24, "AddPartitionsToTxn", 5, 3, Pass, 0},
	{25, "AddOffsetsToTxn", 4, 3, Pass, 0},
	{26, "EndTxn", 5, 3, Pass, 0},
	{27, "WriteTxnMarkers", 2, 1, Pass, 0},
	{28, "TxnOffsetCommit", 6, 3, Pass, 0},
	{29, "DescribeAcls", 3, 2, Pass, 0},
	{30, "CreateAcls", 3, 2, Pass, 0},
	{31, "DeleteAcls", 3, 2, Pass, 0},
	{32, "DescribeConfigs", 4, 4, Pass, 0},
	{33, "AlterConfigs", 2, 2, Pass, 0},
	{34, "AlterReplicaLogDirs", 2, 2, Pass, 0},
	{35, "DescribeLogDirs", 5, 2, Pass, 0},
	{36, "SaslAuthenticate", 2, 2, Pass, 0},
	{37, "CreatePartitions", 3, 2, Pass, 0},
	{38, "CreateDelegationToken", 3, 2, Pass, 0},
	{39, "RenewDelegationToken", 2, 2, Pass, 0},
	{40, "ExpireDelegationToken", 2, 2, Pass, 0},
	{41, "DescribeDelegationToken", 3, 2, Pass, 0},
	{42, "DeleteGroups", 3, 2, Pass, 0},
	{43, "ElectLeaders", 2, 2, Pass, 0},
	{44, "IncrementalAlterConfigs", 1, 1, Pass, 0},
	{45, "AlterPartitionReassignments", 1, 0, Pass, 0},
	{46, "ListPartitionReassignments", 0, 0, Pass, 0},
	{47, "OffsetDelete", 0, none, Pass, 0},
	{48, "DescribeClientQuotas", 1, 1, Pass, 0},
	{49, "AlterClientQuotas", 1, 1, Pass, 0},
	{50, "DescribeUserScramCredentials", 0, 0, Pass, 0},
	{51, "AlterUserScramCredentials", 0, 0, Pass, 0},
	{52, "Vote", 2, 0, Pass, 0},
	{53, "BeginQuorumEpoch", 1, 1, Pass, 0},
	{54, "EndQuorumEpoch", 1, 1, Pass, 0},
	{55, "DescribeQuorum", 2, 0, Pass, 0},
	{56, "AlterPartition", 3, 0, Pass, 0},
	{57, "UpdateFeatures", 2, 0, Pass, 0},
	{58, "Envelope", 0, 0, Pass, 0},
	{59, "FetchSnapshot", 1, 0, Pass, 0},
	{60, "DescribeCluster", 2, 0, Whole, 0},
	{61, "DescribeProducers", 0, 0, Pass, 0},
	{62, "BrokerRegistration", 4, 0, Pass, 0},
	{63, "BrokerHeartbeat", 2, 0, Pass, 0},
	{64, "UnregisterBroker", 0, 0, Pass, 0},
	{65, "DescribeTransactions", 0, 0, Pass, 0},
	{66, "ListTransactions", 2, 0, Pass, 0},
	{67, "AllocateProducerIds", 0, 0, Pass, 0},
	{68, "ConsumerGroupHeartbeat", 1, 0, Pass, 0},
	{69, "ConsumerGroupDescribe", 1, 0, Pass, 0},
	{70, "ControllerRegistration", 0, 0, Pass, 0},
	{71, "GetTelemetrySubscriptions", 0, 0, Pass, 0},
	{72, "PushTelemetry", 0, 0, Pass, 0},
	{73, "AssignReplicasToDirs", 0, 0, Pass, 0},
	{74, "ListConfigResources", 1, 0, Pass, 0},
	{75, "DescribeTopicPartitions", 0, 0, Pass, 0},
	{76, "ShareGroupHeartbeat", 1, 0, Pass, 0},
	{77, "ShareGroupDescribe", 1, 0, Pass, 0},
	{78, "ShareFetch", 2, 0, Tail, 0},
	{79, "ShareAcknowledge", 2, 0, Whole, 0},
	{80, "AddRaftVoter", 1, 0, Pass, 0},
	{81, "RemoveRaftVoter", 0, 0, Pass, 0},
	{82, "UpdateRaftVoter", 0, 0, Pass, 0},
	{83, "InitializeShareGroupState", 0, 0, Pass, 0},
	{84, "ReadShareGroupState", 0, 0, Pass, 0},
	{85, "WriteShareGroupState", 1, 0, Pass, 0},
	{86, "DeleteShareGroupState", 0, 0, Pass, 0},
	{87, "ReadShareGroupStateSummary", 1, 0, Pass, 0},
	{88, "StreamsGroupHeartbeat", 1, 0, Pass, 0},
	{89, "StreamsGroupDescribe", 1, 0, Pass, 0},
	{90, "DescribeShareGroupOffsets", 1, 0, Pass, 0},
	{91, "AlterShareGroupOffsets", 0, 0, Pass, 0},
	{92, "DeleteShareGroupOffsets", 0, 0, Pass, 0},
	{93, "StreamsGroupTopologyDescriptionUpdate", 0, 0, Pass, 0},
	{94, "UnregisterController", 0, 0, Pass, 0},
}
