package hostport

// A Target is what a connection to a broker or to the server of a forward leads to: a
// virtual host and port of the Cloud Connector with this Location ID.
type Target struct {
	Host       string
	Port       uint16
	LocationID string
	// ServerName is the name that the certificate of the broker must be for; "": no TLS.
	ServerName string
}

// String returns HOST:PORT; "" for the zero value.
func (t Target) String() string {
	if t.Host == "" {
		return ""
	}
	return Address{t.Host, t.Port}.String()
}
