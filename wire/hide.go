package wire

import "slices"

// secrets are the fields of APIs, by their keys, that let whoever reads them in, or may: SASL
// tokens, what passwords are checked with, keys of delegation tokens, and the values of
// configurations, of which only a broker knows which ones are passwords.
func secrets(key int16) []string {
	switch key {
	case 36: // SaslAuthenticate
		return []string{"authBytes"}
	case 51: // AlterUserScramCredentials
		return []string{"salt", "saltedPassword"}
	case 38, 39, 40, 41: // Create-, Renew-, Expire-, DescribeDelegationToken
		return []string{"hmac"}
	case 19, 32, 33, 44: // CreateTopics, DescribeConfigs, AlterConfigs, IncrementalAlterConfigs
		return []string{"value"}
	case 72: // PushTelemetry
		return []string{"metrics"}
	}
	return nil
}

// confidential says which fields of an API are hidden.
func confidential(key int16) func(Field) bool {
	names := secrets(key)
	return func(f Field) bool { return f.Type == "records" || slices.Contains(names, f.Name) }
}
