package local_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/onbehalf/onbehalf/internal/local"
)

// The certificate for Microsoft's host comes from an authority that vouches for that host and for nothing else, and the
// authority of this machine does not vouch for it.
func TestPosingHasAnAuthorityOfItsOwn(t *testing.T) {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	const host = "login.microsoftonline.com"
	l, err := local.New(t.Context(), local.Config{Entra: listen(), Search: listen(), PoseAs: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	entraTLS, err := l.EntraTLS()
	if err != nil {
		t.Fatal(err)
	}
	searchTLS, err := l.TLS()
	if err != nil {
		t.Fatal(err)
	}
	posing := x509.NewCertPool()
	if !posing.AppendCertsFromPEM(l.PosingCA()) {
		t.Fatal("no authority")
	}
	for _, test := range []struct {
		desc   string
		server *tls.Config
		name   string
		trusts bool
	}{
		{"Microsoft's host at Entra", entraTLS, host, true},
		{"localhost by the posing authority", entraTLS, "localhost", false},
		{"another of Microsoft's hosts", entraTLS, "graph.microsoft.com", false},
		{"Microsoft's host at Search", searchTLS, host, false},
	} {
		here, there := net.Pipe()
		go func() { _ = tls.Server(there, test.server).HandshakeContext(t.Context()); _ = there.Close() }()
		err := tls.Client(here, &tls.Config{ServerName: test.name, RootCAs: posing}).HandshakeContext(t.Context())
		_ = here.Close()
		if (err == nil) != test.trusts {
			t.Errorf("%s: %v", test.desc, err)
		}
	}
	if _, err := local.New(t.Context(), local.Config{Entra: listen(), Search: listen(), PoseAs: []string{"localhost"}}); err == nil {
		t.Error("it poses as this machine itself")
	}
}
