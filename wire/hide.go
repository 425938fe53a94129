package wire

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// secrets returns the fields of an API that are or may be credentials: SASL tokens, salted
// passwords, keys of delegation tokens, and the values of configurations, because only the broker
// knows which of them are passwords.
func secrets(key int16) []string {
	switch kmsg.Key(key) {
	case kmsg.SASLAuthenticate:
		return []string{"authBytes"}
	case kmsg.AlterUserSCRAMCredentials:
		return []string{"salt", "saltedPassword"}
	case kmsg.CreateDelegationToken, kmsg.RenewDelegationToken, kmsg.ExpireDelegationToken, kmsg.DescribeDelegationToken:
		return []string{"hmac"}
	case kmsg.CreateTopics, kmsg.DescribeConfigs, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs:
		return []string{"value"}
	case kmsg.PushTelemetry:
		return []string{"metrics"}
	}
	return nil
}

// confidential returns which fields of an API [Codec.Hide] hides.
func confidential(key int16) func(Field) bool {
	names := secrets(key)
	return func(f Field) bool { return f.Type == "records" || slices.Contains(names, f.Name) }
}
