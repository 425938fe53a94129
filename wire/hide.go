package wire

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// secrets are the fields of APIs, by their keys, that let whoever reads them in, or may: SASL
// tokens, what passwords are checked with, keys of delegation tokens, and the values of
// configurations, of which only a broker knows which ones are passwords.
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

// confidential says which fields of an API are hidden.
func confidential(key int16) func(Field) bool {
	names := secrets(key)
	return func(f Field) bool { return f.Type == "records" || slices.Contains(names, f.Name) }
}
