// Package localhost is what the local stand-ins share: a certificate authority that can vouch for nothing but this
// machine, and a guard that keeps web pages and other machines away from their control APIs.
package localhost

import (
	"crypto"
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
	"net/http"
	"time"
)

// life of the CA and its certificates.
const life = 30 * 24 * time.Hour

// CA is a certificate authority whose key exists in memory only. Its certificate is constrained by name (RFC 5280
// §4.2.1.10): who trusts it trusts it for loopback, or for the hosts it was made for, and for nothing else.
type CA struct {
	cert  *x509.Certificate
	key   crypto.Signer
	hosts []string
	now   time.Time
}

// NewCA makes an authority for loopback: localhost, names below localhost, 127.0.0.0/8 and ::1.
func NewCA(now time.Time) (*CA, error) {
	return newCA(now, "onbehalf local CA (this machine only)", []string{"localhost"}, []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	})
}

// NewPosingCA makes an authority for the named hosts alone: dangerous, since whoever trusts it takes a local stand-in
// for these hosts.
func NewPosingCA(now time.Time, hosts ...string) (*CA, error) {
	return newCA(now, "onbehalf posing CA (dangerous)", hosts, nil)
}

func newCA(now time.Time, name string, hosts []string, addresses []*net.IPNet) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	var excluded []*net.IPNet
	if len(addresses) == 0 { // no constraint at all would permit every address
		excluded = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
	}
	template := &x509.Certificate{
		SerialNumber:                serial,
		Subject:                     pkix.Name{CommonName: name},
		NotBefore:                   now.Add(-time.Hour),
		NotAfter:                    now.Add(life),
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		KeyUsage:                    x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         hosts,
		PermittedIPRanges:           addresses,
		ExcludedIPRanges:            excluded,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	return &CA{cert: cert, key: key, hosts: hosts, now: now}, nil
}

// PEM returns the authority's certificate, for a file that other programs trust.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// ServerTLS returns the configuration of a server that presents a certificate of this authority, for loopback by
// name and address (or the hosts of a posing authority).
func (ca *CA) ServerTLS() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("local certificate: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: ca.hosts[0]},
		NotBefore:    ca.cert.NotBefore,
		NotAfter:     ca.cert.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     ca.hosts,
	}
	if len(ca.cert.PermittedIPRanges) > 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("local certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key}},
	}, nil
}

// Client returns a client that trusts this authority and no other.
func (ca *CA) Client() *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	transport := &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func serialNumber() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	return serial, nil
}
