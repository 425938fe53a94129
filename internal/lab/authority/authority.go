// Package authority is the lab's certificate authority.
//
//	a, err := authority.New("kafka-tunnel lab")
//	cert, err := a.Issue(authority.Request{Names: []string{"kafka-1.onprem.invalid"}})
//	server := &tls.Config{Certificates: []tls.Certificate{cert}}
//	client := &tls.Config{RootCAs: a.Roots(), ServerName: "kafka-1.onprem.invalid"}
//
// Its key is generated at each start and never leaves the process.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// life is how long certificates are valid, longer than any lab runs.
const life = 30 * 24 * time.Hour

// An Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New returns a new authority with that name.
func New(name string) (*Authority, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &Authority{cert: template, key: key}
	der, err := a.sign(template, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// A Request describes a certificate.
type Request struct {
	Names   []string      // hosts and IP addresses; the first is the common name as well
	Expired time.Time     // when it expired; zero: it is valid
	Life    time.Duration // validity; 0: longer than any lab runs
	Client  bool          // for a client, identified by its common name, instead of a server
}

// Issue returns a certificate with a key of its own.
func (a *Authority) Issue(r Request) (tls.Certificate, error) {
	template := &x509.Certificate{
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if r.Life > 0 {
		template.NotAfter = time.Now().Add(r.Life)
	}
	if r.Client {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if !r.Expired.IsZero() {
		template.NotBefore, template.NotAfter = r.Expired.Add(-life), r.Expired
	}
	for i, name := range r.Names {
		if i == 0 {
			template.Subject.CommonName = name
		}
		if r.Client {
			break
		}
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := a.sign(template, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func (a *Authority) sign(template *x509.Certificate, public *ecdsa.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	return der, nil
}

// Roots returns a pool with only this authority.
func (a *Authority) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Encode returns a certificate and its key as PEM.
func Encode(c tls.Certificate) (chain, key string, err error) {
	var all []byte
	for _, der := range c.Certificate {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return "", "", err
	}
	return string(all), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
