package config

import (
	"crypto/x509"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// readSecretFiles fills in the secrets that stand in files of their own.
func (l *loader) readSecretFiles() {
	l.readSecretFile("token.client_secret", l.config.Token.ClientSecretFile, &l.config.Token.ClientSecret)
	l.readSecretFile("connectivity.password", l.config.Connectivity.PasswordFile, &l.config.Connectivity.Password)
}

func (l *loader) readSecretFile(id, path string, into *Secret) {
	file := id + "_file"
	if path == "" || l.bad[id] {
		return
	}
	fail := func(message string) {
		l.bad[file] = true
		l.blame(file, message, "")
	}
	if *into != "" {
		fail("contradicts " + id + " (" + l.settings[id].source + "); only one of them can be set")
		return
	}
	data, err := l.readFile(path)
	if err != nil {
		fail("cannot be read: " + boundedfile.Cause(err).Error())
		return
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	secret, wrong := secretText(text)
	switch {
	case text == "":
		fail("names an empty file")
	case wrong != nil:
		fail("names a file with more than one line")
	default:
		*into = secret
		l.settings[id] = setting{text: text, source: "file " + path, chosen: true}
	}
}

// readAuthorities reads the certificates that clusters and the token service trust.
func (l *loader) readAuthorities() {
	for i := range l.config.Clusters {
		c := &l.config.Clusters[i].TLS
		c.Roots = l.authorities(clusterID(i)+".tls.ca_file", c.CAFile)
	}
	l.config.Token.Roots = l.authorities("token.ca_file", l.config.Token.CAFile)
}

func (l *loader) authorities(id, path string) *x509.CertPool {
	data := l.contents(id, path)
	if data == nil {
		return nil
	}
	roots, err := secure.ParseRoots(data)
	if err != nil {
		l.bad[id] = true
		l.blame(id, err.Error(), "")
	}
	return roots
}

// contents returns what a file holds that a key names; nil: there is none.
func (l *loader) contents(id, path string) []byte {
	if path == "" || !l.understood(id) {
		return nil
	}
	data, err := l.readFile(path)
	if err != nil {
		l.bad[id] = true
		l.blame(id, "cannot be read: "+boundedfile.Cause(err).Error(), "")
		return nil
	}
	return data
}

// readCertificate reads the client certificate.
func (l *loader) readCertificate() {
	const certificate, key = "token.certificate_file", "token.key_file"
	t := &l.config.Token
	chain, secret := l.contents(certificate, t.CertificateFile), l.contents(key, t.KeyFile)
	if chain == nil || secret == nil {
		return
	}
	var err error
	if t.Certificate, err = token.ParseCertificate(string(chain), string(secret)); err != nil {
		l.bad[certificate] = true
		l.blame(certificate, "with "+key+": "+err.Error(), "")
	}
}
