package shell

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// clientTimeout bounds one request of any client that is made here.
const clientTimeout = 60 * time.Second

// Trust says which authority may be asked for tokens beside Microsoft's own.
type Trust struct {
	// Loopback allows an authority on this machine: client commands do, servers when ONBEHALF_LOCAL=1 says so.
	Loopback bool
	// Any allows every authority: --dangerously-authority.
	Any bool
}

// Cloud returns the cloud of AZURE_AUTHORITY_HOST. An authority that is none of Microsoft's needs to be on this machine
// or to be trusted explicitly: whoever names the authority gets the sign-in.
func (s *Settings) Cloud(trust Trust) (entra.Cloud, error) {
	cloud, err := entra.CloudOf(s.Get("AZURE_AUTHORITY_HOST"))
	switch {
	case err == nil:
	case !errors.Is(err, entra.ErrUnknownCloud):
		return entra.Cloud{}, Wrong("AZURE_AUTHORITY_HOST", err)
	case isLoopback(cloud.Authority):
		if !trust.Loopback && s.Get("ONBEHALF_LOCAL") != "1" {
			return entra.Cloud{}, Hint(fmt.Errorf("AZURE_AUTHORITY_HOST: %s is a local Entra, in which anyone may sign in as anyone", cloud.Authority),
				"set ONBEHALF_LOCAL=1 if that is meant")
		}
	case !trust.Any:
		return entra.Cloud{}, Hint(fmt.Errorf("AZURE_AUTHORITY_HOST: %s is none of Microsoft's clouds", cloud.Authority),
			"whoever names the authority gets your sign-in; --dangerously-authority trusts it all the same")
	}
	if graph := s.Get("GRAPH_ENDPOINT"); graph != "" {
		u, err := url.Parse(graph)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return entra.Cloud{}, Wrong("GRAPH_ENDPOINT", errors.New("want https://HOST"))
		}
		cloud.Graph = strings.TrimSuffix(graph, "/")
	}
	return cloud, nil
}

// Tenant returns TENANT_ID, which [Settings.Require] has found to be there.
func (s *Settings) Tenant() (identity.TenantID, error) {
	id, err := identity.ParseTenantID(s.Get("TENANT_ID"))
	if err != nil {
		return id, Wrong("TENANT_ID", err)
	}
	return id, nil
}

// Client returns the application id in the named setting.
func (s *Settings) Client(name string) (identity.ClientID, error) {
	id, err := identity.ParseClientID(s.Get(name))
	if err != nil {
		return id, Wrong(name, err)
	}
	return id, nil
}

// APIScope returns the permission of the API that clients ask for: execute of API_APP_ID_URI, which is api://API_CLIENT_ID
// where it is not set.
func (s *Settings) APIScope() (entra.Scope, error) {
	uri := s.Get("API_APP_ID_URI")
	if uri == "" {
		if err := s.Require("API_CLIENT_ID"); err != nil {
			return entra.Scope{}, err
		}
		id, err := s.Client("API_CLIENT_ID")
		if err != nil {
			return entra.Scope{}, err
		}
		uri = "api://" + id.String()
	}
	if u, err := url.Parse(uri); err != nil || u.Host == "" || u.Scheme == "" {
		return entra.Scope{}, Wrong("API_APP_ID_URI", errors.New("want api://… or https://…"))
	}
	scope, err := entra.NewScope(uri, "execute")
	if err != nil {
		return entra.Scope{}, Wrong("API_APP_ID_URI", err)
	}
	return scope, nil
}

// File returns the path in the named setting, if a file is there to be read.
func (s *Settings) File(name string) (string, error) {
	path := s.Get(name)
	file, err := os.Open(path)
	if err != nil {
		return "", Wrong(name, err)
	}
	return path, file.Close()
}

// URL returns the URL in the named setting: https, or http on this machine.
func (s *Settings) URL(name, fallback string) (*url.URL, error) {
	text := s.Or(name, fallback)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(text)) {
		if strings.Contains(text, "@") {
			text = "…" // a password may stand before it
		}
		return nil, Wrong(name, fmt.Errorf("%q: want an https URL, or an http one on this machine", text))
	}
	return u, nil
}

// EntraClient returns the client for the authority and for Graph. It trusts ONBEHALF_CA_FILE only where the authority
// is none of Microsoft's: a CA of this machine must not be able to stand in for login.microsoftonline.com.
func (s *Settings) EntraClient(cloud entra.Cloud) (*http.Client, error) {
	if _, err := entra.CloudOf(cloud.Authority); err == nil {
		return newClient(nil), nil
	}
	return s.HTTPClient()
}

// HTTPClient returns the client for everything else: it trusts ONBEHALF_CA_FILE besides the system's authorities, goes
// through HTTPS_PROXY, and follows no redirect, which could carry a key or a token to another host.
func (s *Settings) HTTPClient() (*http.Client, error) {
	roots, err := s.Roots()
	if err != nil {
		return nil, err
	}
	return newClient(roots), nil
}

// Roots returns the system's authorities and ONBEHALF_CA_FILE, nil when there is none such: then the system's count.
func (s *Settings) Roots() (*x509.CertPool, error) {
	s.rootsOnce.Do(func() { s.roots, s.rootsErr = s.readRoots() }) // reading the system's takes 10 ms
	return s.roots, s.rootsErr
}

func (s *Settings) readRoots() (*x509.CertPool, error) {
	file := s.Get("ONBEHALF_CA_FILE")
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, Hint(fmt.Errorf("ONBEHALF_CA_FILE: %w", err), "\"onbehalf local --write-env FILE\" writes the file and the CA anew at each start")
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, Wrong("ONBEHALF_CA_FILE", fmt.Errorf("%s holds no PEM certificate", file))
	}
	return roots, nil
}

func newClient(roots *x509.CertPool) *http.Client {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	}
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost = 64
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return &http.Client{
		Transport:     transport,
		Timeout:       clientTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func isLoopback(rawURL string) bool {
	u, err := url.Parse(rawURL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}
