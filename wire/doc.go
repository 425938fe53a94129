// Package wire decodes and encodes the messages of Kafka's protocol: every API in every version,
// requests and responses, as Go structs and as JSON.
//
//	bytes  -- Frames ----> frame -- Codec.ParseRequest, ParseResponse --> Message -- Codec.AppendJSON --> JSON
//	bytes <-- AppendRequest ---------------------------------------------- Message <-- Codec.ParseJSON -- JSON
//
// It is for tools: programs that show what a client sends, send what no client sends, or check
// what a broker responds. A program that only produces and consumes needs a Kafka client.
//
// # Frames
//
// A connection carries frames: a length, a header and the body of one message. [Frames] finds them
// in a stream that arrives in chunks of any length. The header of a request names its API, its
// version and a correlation id. The header of a response has the correlation id alone, so a
// response can only be decoded by a program that knows the request: [Responses] keeps track of the
// requests of one connection. Package wire/pcap reads the frames of packet captures, [ReadDump] those of hex
// dumps and base64.
//
// # Messages
//
// A [Message] is one of the structs of package kmsg (github.com/twmb/franz-go/pkg/kmsg), in one
// version; [New] returns one with the defaults of its fields. [APIs] lists the APIs, [Lookup] finds
// one by its name. [Codec.Fields] lists the fields of a message in one version with their types,
// [Codec.Describe] those of all versions, and [Codec.Template] returns JSON to be filled in.
//
// # Decoding
//
// A [Codec] decodes; its zero value is ready, and one Codec may serve all goroutines of a program.
// [Codec.ParseRequest] and [Codec.ParseResponse] take a frame, [Codec.Decode] takes a body.
// [Codec.AppendJSON] writes a message as JSON:
//
//   - Fields have the names of Kafka's own schemas, in camelCase. Those that the version does not
//     have are left out.
//   - Integers are exact, bytes are base64, UUIDs have Kafka's form. Strings that are not UTF-8 are
//     {"base64": "..."}.
//   - Tagged fields that kmsg does not know are kept, as base64.
//   - An error code of a response is followed by its meaning.
//
// For example:
//
//	{"topics": [{"name": "orders", "partitions": [{"partitionIndex": 0, "errorCode": 6,
//	  "error": {"code": 6, "name": "NOT_LEADER_OR_FOLLOWER", "retriable": true, "message": "..."}}]}]}
//
// [Codec.Hide] leaves out credentials and records.
//
// # Encoding
//
// [Codec.ParseJSON] reads the same JSON: fields that are missing have their defaults, and a field
// that the version does not have is an error. [AppendRequest] makes a frame of a request. Nothing
// is sent: the bytes may go into a test, a file or a connection of the caller.
//
// # Records
//
// The records of Produce and Fetch messages are one field of bytes. With [Codec.Records] they are
// batches with their records, in JSON as well; [DecodeRecords] and [EncodeRecords] convert the
// field alone. All formats are supported: record batches and the message sets of old clients, not
// compressed or with gzip, snappy, lz4 or zstd.
//
// # Talking to a broker
//
// [Dial] connects to one broker, with TLS and SASL if [DialOptions] say so, and learns which
// versions the broker supports. [Conn.Version] returns the newest version that both sides support,
// [Conn.Request] sends any message in any version and waits for the response. The package sends no
// names of its own: the client id and the software name are options. It does not find the broker
// that is responsible for a partition or a group; the caller does, with a Metadata or
// FindCoordinator request.
//
// # Errors
//
// Errors have a position: [*DecodeError] has the byte and the path of a field that cannot be decoded,
// [*FrameError] the byte of a stream in which no frame begins, [*PathError] the path of a value in
// JSON. [ErrorOf] returns the meaning of an error code, [Codec.ErrorsOf] all errors of a response
// with their paths, [Errors] the table.
//
// # Limits
//
// Frames come from others, and a few bytes can mean gigabytes. [Frames] and [DialOptions] bound the
// length of a frame, 100 MiB by default. [Codec.BatchLimit] bounds each decompressed batch, 64 MiB
// by default. [Codec.Limit] bounds everything that a message may become; set it in programs that
// decode what others send. A message that exceeds a limit is a [*LimitError].
//
// # Sources
//
// Kafka's message schemas (in its jar kafka-clients, below common/message), KIP-482 for tagged
// fields, KIP-98 for record batches, KIP-31 and KIP-32 for message sets.
package wire
