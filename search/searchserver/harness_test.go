package searchserver_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/search/searchengine"
	"github.com/onbehalf/onbehalf/search/searchserver"
)

const (
	tenant      = "aaaaaaaa-0000-4000-8000-000000000001"
	alice       = "aaaaaaaa-0000-4000-8000-00000000000a"
	bob         = "aaaaaaaa-0000-4000-8000-00000000000b"
	engineering = "aaaaaaaa-0000-4000-8000-0000000000e0"
	readerApp   = "aaaaaaaa-0000-4000-8000-000000000101"
	writerApp   = "aaaaaaaa-0000-4000-8000-000000000102"
	ownerApp    = "aaaaaaaa-0000-4000-8000-000000000103"
	preview     = "api-version=2025-11-01-preview"
)

// issuer is a tenant that signs whatever it is given.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	key     *rsa.PrivateKey
	kid     string
	down    atomic.Bool
	fetches atomic.Int32
}

// signingKeys are made once: each costs some 50 ms.
var signingKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	var keys []*rsa.PrivateKey
	for range 2 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
})

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{key: signingKeys()[0], kid: "k1"}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		if i.down.Load() || r.URL.Path != "/"+tenant+"/discovery/v2.0/keys" {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "use": "sig", "kid": i.kid,
			"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes()),
		}}})
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.kid = signingKeys()[1], "k2"
}

// person returns the claims of a good token.
func (i *issuer) person(oid string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": i.URL + "/" + tenant + "/", "aud": "https://search.azure.com", "tid": tenant, "oid": oid, "scp": "user_impersonation",
		"iat": now.Unix(), "nbf": now.Unix() - 300, "exp": now.Add(time.Hour).Unix(), "appid": readerApp, "ver": "1.0",
	}
}

func (i *issuer) app(id string) map[string]any {
	claims := i.person(strings.Replace(id, "aaaa", "bbbb", 1))
	delete(claims, "scp")
	claims["idtyp"], claims["appid"] = "app", id
	return claims
}

func (i *issuer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	return i.signWith(t, map[string]any{"alg": "RS256", "typ": "JWT", "kid": i.kid}, claims)
}

func (i *issuer) signWith(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := encode(header) + "." + encode(claims)
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// service is a server over HTTPS with its tenant.
type service struct {
	*searchserver.Server
	*issuer
	home       string // of the issuer
	web        *httptest.Server
	log        *bytes.Buffer
	groupsDown atomic.Bool
	asked      atomic.Int32 // how often the groups were
}

func start(t *testing.T, change func(*searchserver.Config)) *service {
	t.Helper()
	engine, err := searchengine.Open(searchengine.Config{ServiceName: "127"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if closed := engine.Close(); closed != nil {
			t.Error(closed)
		}
	})
	s := &service{issuer: newIssuer(t), log: &bytes.Buffer{}}
	s.home = s.URL
	config := searchserver.Config{
		Engine: engine, Authority: s.home + "/", Tenant: tenant, HTTPClient: s.Client(), JSONAuthErrors: true,
		Groups: func(_ context.Context, oid string) ([]string, error) {
			s.asked.Add(1)
			if s.groupsDown.Load() {
				return []string{engineering}, errors.New("Graph is down")
			}
			if oid == alice {
				return []string{engineering}, nil
			}
			return nil, nil
		},
		Scopes: map[string][]string{strings.ToUpper(bob): {"/subscriptions/s/containers/c"}},
		Roles: map[string][]searchserver.Role{
			readerApp: {searchserver.IndexDataReader}, writerApp: {searchserver.IndexDataContributor}, ownerApp: {searchserver.ServiceContributor},
			strings.ToUpper(alice): {searchserver.IndexDataReader},
		},
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	if s.Server, err = searchserver.New(config); err != nil {
		t.Fatal(err)
	}
	s.web = httptest.NewTLSServer(s.Server)
	t.Cleanup(s.web.Close)
	return s
}

// got is an answer.
type got struct {
	status int
	header http.Header
	body   string
}

// do sends a request. Headers come in pairs; without one that authenticates, the admin key is sent.
func (s *service) do(t *testing.T, method, path, body string, headers ...string) got {
	t.Helper()
	if !strings.Contains(path, "api-version=") && !strings.HasPrefix(path, "/_local/") {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		path += separator + preview
	}
	request, err := http.NewRequestWithContext(t.Context(), method, s.web.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Opaque = path
	request.Header.Set("Accept", "application/json;odata.metadata=none")
	if body != "" || method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("api-key", s.AdminKey().Reveal())
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Authorization" {
			request.Header.Del("api-key")
		}
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
			continue
		}
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.web.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got{response.StatusCode, response.Header, string(text)}
}

// keys returns the ids of the documents of a search, joined.
func (g got) keys(t *testing.T) string {
	t.Helper()
	var page struct{ Value []struct{ ID string } }
	if err := json.Unmarshal([]byte(g.body), &page); err != nil || g.status != http.StatusOK {
		t.Fatalf("HTTP %d: %v: %s", g.status, err, g.body)
	}
	ids := []string{}
	for _, document := range page.Value {
		ids = append(ids, document.ID)
	}
	return strings.Join(ids, " ")
}

const aclIndex = `{"name":"acl","permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true,"sortable":true,"filterable":true,"searchable":false},
	{"name":"name","type":"Edm.String","searchable":true,"sortable":true,"facetable":true},
	{"name":"size","type":"Edm.Int64","sortable":true,"filterable":true,"facetable":true},
	{"name":"oid","type":"Collection(Edm.String)","permissionFilter":"userIds","filterable":true,"searchable":false,"retrievable":false},
	{"name":"group","type":"Collection(Edm.String)","permissionFilter":"groupIds","filterable":true,"searchable":false,"retrievable":false},
	{"name":"scope","type":"Edm.String","permissionFilter":"rbacScope","filterable":true,"searchable":false,"retrievable":false}]}`

const aclDocuments = `{"value":[
	{"@search.action":"upload","id":"1","name":"public","size":1,"oid":["all"],"group":[]},
	{"@search.action":"upload","id":"2","name":"of alice","size":2,"oid":["` + alice + `"],"group":[]},
	{"id":"3","name":"of engineering","size":3,"oid":["none"],"group":["` + engineering + `"],"@search.action":"upload"},
	{"@search.action":"upload","id":"4","name":"of nobody","size":4,"oid":["none"],"group":[]},
	{"@search.action":"upload","id":"5","name":"of a container","size":5,"oid":[],"group":[],"scope":"/subscriptions/s/containers/c"},
	{"@search.action":"upload","id":"6","name":"without any","size":6}]}`

// startACL has the index "acl" with six documents: alice sees 1, 2, 3; bob 1 and 5; the public 1.
func startACL(t *testing.T, change func(*searchserver.Config)) *service {
	t.Helper()
	s := start(t, change)
	if created := s.do(t, "POST", "/indexes", aclIndex); created.status != http.StatusCreated {
		t.Fatalf("create: HTTP %d: %s", created.status, created.body)
	}
	if written := s.do(t, "POST", "/indexes/acl/docs/index", aclDocuments); written.status != http.StatusOK {
		t.Fatalf("write: HTTP %d: %s", written.status, written.body)
	}
	return s
}

func (s *service) search(t *testing.T, body string, headers ...string) got {
	t.Helper()
	return s.do(t, "POST", "/indexes('acl')/docs/search.post.search", body, headers...)
}

const byID = `{"orderby":"id"}`
