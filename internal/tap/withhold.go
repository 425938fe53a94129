package tap

import (
	"slices"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// Withheld is why the body of a frame, or a part of it, does not leave the process.
type Withheld uint8

// The reasons. Their numbers are part of the stream's format.
const (
	Nothing       Withheld = iota
	Secret                 // no query returns it
	NeedsRecords           // the query does not request records
	endOfWithheld          // not a reason
)

// secret are the APIs whose frames carry credentials or configurations, which may contain
// passwords. Frames of an unknown API are treated the same.
var secret = []int16{
	kafka.KeySaslHandshake, kafka.KeySaslAuthenticate,
	32, 33, 44, // DescribeConfigs, AlterConfigs, IncrementalAlterConfigs
	38, 39, 40, 41, // CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken, DescribeDelegationToken
	50, 51, // DescribeUserScramCredentials, AlterUserScramCredentials
	58, // Envelope: a request within a request
}

// upToCode returns how much of a response of a secret API is sent: the header and the bytes up
// to the first error code, which is not secret and often the reason to look at such a response.
func upToCode(key, version int16) int {
	const (
		throttle = 4 // the throttle time
		codeLen  = 2
	)
	header, number := 4, 4 // the number of elements of an array
	if api, ok := kafka.Lookup(key); ok && api.Flexible(version) {
		// Without tagged fields, as brokers send it, and with few elements. Otherwise less is
		// sent.
		header, number = 4+1, 1
	}
	switch key {
	case kafka.KeySaslHandshake, kafka.KeySaslAuthenticate, 38, 39, 40, 41:
		return header + codeLen
	case 50:
		return header + throttle + codeLen
	case 32, 33, 44:
		return header + throttle + number + codeLen
	}
	return 0
}

// withheld reports what the API key of a frame decides about its bytes. The filter decides only
// about records.
func (f *Filter) withheld(one *Frame) Withheld {
	_, known := kafka.Lookup(one.Key)
	switch {
	case one.Token, !known, slices.Contains(secret, one.Key):
		return Secret
	case !f.Records && hasRecords(one):
		return NeedsRecords
	}
	return Nothing
}

// The keys whose frames have records that are not skipped: such frames are sent whole or not at
// all.
const (
	keyFetchSnapshot = 59
	keyPushTelemetry = 72 // metrics of applications
)

func hasRecords(one *Frame) bool {
	return kafka.HasRecords(one.Request, one.Key) || !one.Request && one.Key == keyFetchSnapshot || one.Request && one.Key == keyPushTelemetry
}

// beforeRecords limits how much of a frame with records is copied only for its error codes. The
// bytes after it pass through the kernel (splice) and are not copied.
const beforeRecords = 16 << 10

// keeps returns how many bytes of a frame are copied.
func (f *Filter) keeps(one *Frame) int {
	most := MaxBytes
	switch f.withheld(one) {
	case Secret:
		most = 0
		if !one.Token && !one.Request {
			most = upToCode(one.Key, one.Version)
		}
	case NeedsRecords:
		switch {
		case !kafka.HasRecords(one.Request, one.Key):
			most = 0
		case !f.Bodies:
			most = beforeRecords
		}
	}
	if one.Request && !f.Bodies {
		most = 0
	}
	return min(one.Size, most)
}

// withhold removes bytes from a frame that must not leave the process. It works in place.
func (f *Filter) withhold(one *Frame) {
	one.Withheld = f.withheld(one)
	if one.Withheld != NeedsRecords {
		return
	}
	spans, known, last := kafka.RecordSpans(one.Bytes, one.Size, one.Request, one.Key, one.Version)
	one.Gaps, one.AllCodes = spans, last
	kept, at := one.Bytes[:0], 0
	for _, s := range spans {
		kept, at = append(kept, one.Bytes[at:s.Start]...), s.End
	}
	one.Bytes = append(kept, one.Bytes[at:known]...)
}
