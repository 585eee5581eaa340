package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// browserPatience is how long the browser may take, as long as a device code lives.
const browserPatience = 15 * time.Minute

// maxRedirectBody bounds what the browser may post back.
const maxRedirectBody = 64 << 10

// ErrNoBrowser says that the browser could not be opened.
var ErrNoBrowser = errors.New("the browser could not be opened")

// browser signs in by authorization code with PKCE. Entra answers to a port of this machine, by a form that the browser
// posts (response_mode form_post): the code never stands in an address. MSAL's own way is not used, since it can send
// no resource and ends at the first request with a wrong state, which any page in the browser could send.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow and RFC 8252 §7.3
func (c *Client) browser(ctx context.Context, msal public.Client, key Key, r Request) (public.AuthResult, error) {
	answer, err := listenForAnswer(key)
	if err != nil {
		return public.AuthResult{}, err
	}
	defer answer.close() //nolint:contextcheck // must also work when the context has ended
	verifier := randomText()
	address, err := msal.AuthCodeURL(ctx, key.Client.String(), answer.redirect, scopeStrings(r.Scopes), public.WithClaims(r.Claims))
	if err != nil {
		return public.AuthResult{}, err
	}
	if address, err = authorizeURL(address, r, answer.state, verifier); err != nil {
		return public.AuthResult{}, err
	}
	if err = c.cfg.Open(ctx, address); err != nil {
		return public.AuthResult{}, fmt.Errorf("%w: %w", ErrNoBrowser, err)
	}
	code, err := answer.wait(ctx)
	if err != nil {
		return public.AuthResult{}, err
	}
	return msal.AcquireTokenByAuthCode(ctx, code, answer.redirect, scopeStrings(r.Scopes), public.WithChallenge(verifier), public.WithClaims(r.Claims))
}

// authorizeURL adds to MSAL's address what MSAL does not put there.
func authorizeURL(address string, r Request, state, verifier string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return "", errors.New("the authority names an authorization endpoint that is not https")
	}
	sum := sha256.Sum256([]byte(verifier))
	query := u.Query()
	query.Set("scope", strings.Join(append(scopeStrings(r.Scopes), "openid", "offline_access", "profile"), " "))
	query.Set("state", state)
	query.Set("response_mode", "form_post")
	query.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	query.Set("code_challenge_method", "S256")
	if strings.Contains(r.Account, "@") {
		query.Set("login_hint", r.Account)
	} else {
		query.Set("prompt", "select_account")
	}
	if r.Resource != "" {
		query.Set("resource", r.Resource)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func randomText() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// loopback waits on a port of this machine for the one answer to an authorization request.
type loopback struct {
	redirect string
	asked    Key // where the answer has to come from
	state    string
	answers  chan redirected
	server   *http.Server
	served   chan struct{} // closed when nothing listens any more
}

type redirected struct {
	code string
	err  error
}

// listenForAnswer takes a free port on 127.0.0.1, and the same on ::1 where it can: the browser chooses what it takes
// localhost for.
func listenForAnswer(key Key) (*loopback, error) {
	first, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local and at once
	if err != nil {
		return nil, fmt.Errorf("listen for the browser: %w", err)
	}
	port := strconv.Itoa(first.Addr().(*net.TCPAddr).Port) //nolint:errcheck,forcetypeassert // a TCP listener's address
	listeners := []net.Listener{first}
	if second, err := net.Listen("tcp", "[::1]:"+port); err == nil { //nolint:noctx // local and at once
		listeners = append(listeners, second)
	}
	l := &loopback{
		redirect: "http://localhost:" + port, asked: key, state: randomText(),
		answers: make(chan redirected, 1), served: make(chan struct{}),
	}
	l.server = &http.Server{Handler: http.HandlerFunc(l.serve), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	ended := make(chan struct{}, len(listeners))
	for _, listener := range listeners {
		go func() {
			_ = l.server.Serve(listener) // until close
			ended <- struct{}{}
		}()
	}
	go func() {
		for range listeners {
			<-ended
		}
		close(l.served)
	}()
	return l, nil
}

// close lets the last page reach the browser.
func (l *loopback) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if l.server.Shutdown(ctx) != nil {
		_ = l.server.Close()
	}
	<-l.served
}

func (l *loopback) wait(ctx context.Context) (string, error) {
	patience := time.NewTimer(browserPatience)
	defer patience.Stop()
	select {
	case answer := <-l.answers:
		return answer.code, answer.err
	case <-patience.C:
		return "", errors.New("nobody signed in within 15 minutes")
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (l *loopback) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if "http://"+r.Host != l.redirect || r.URL.Path != "/" || r.Method != http.MethodPost {
		w.WriteHeader(http.StatusNotFound)
		page(w, "Nothing here", "The sign-in is answered here once, by the authority.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxRedirectBody)
	if err := r.ParseForm(); err != nil || subtle.ConstantTimeCompare([]byte(r.PostForm.Get("state")), []byte(l.state)) != 1 {
		w.WriteHeader(http.StatusBadRequest) // another tab, or another page: the right answer may still come
		page(w, "Not the answer to this sign-in", "Go back to the page of the sign-in.")
		return
	}
	answer := readAnswer(r.PostForm, l.asked)
	if answer.err != nil {
		page(w, "Not signed in", "The terminal says why. You can close this page.")
	} else {
		page(w, "Signed in", "You can close this page and go back to the terminal.")
	}
	select {
	case l.answers <- answer:
	default: // a second answer changes nothing
	}
}

// A redirect holds the ids of the event in its description alone.
var (
	correlationPattern = regexp.MustCompile(`Correlation ID: ([0-9A-Fa-f-]{8,64})`)
	tracePattern       = regexp.MustCompile(`Trace ID: ([0-9A-Fa-f-]{8,64})`)
)

func idIn(pattern *regexp.Regexp, description string) string {
	if match := pattern.FindStringSubmatch(description); match != nil {
		return match[1]
	}
	return ""
}

// readAnswer reads what the authority sends a browser back with. An answer that names its issuer, even one that is an
// error, must come from where the sign-in was asked for (RFC 9207 §2.4).
func readAnswer(form url.Values, asked Key) redirected {
	if issuer := form.Get("iss"); issuer != "" && !asked.issues(issuer) {
		return redirected{err: fmt.Errorf("%w: the answer is of another authority (RFC 9207)", ErrNotTrusted)}
	}
	if code := form.Get("error"); code != "" {
		description := form.Get("error_description")
		return redirected{err: &entra.Error{
			Status: http.StatusBadRequest, Code: code, Sub: form.Get("error_subcode"), Description: description, AADSTS: entra.CodesIn(description),
			Correlation: idIn(correlationPattern, description), Trace: idIn(tracePattern, description),
		}}
	}
	if form.Get("code") == "" {
		return redirected{err: errors.New("the authority's answer holds no code")}
	}
	return redirected{code: form.Get("code")}
}

// issues reports whether the issuer is the one of the entry: exactly so where the tenant is an id, else any tenant of the
// same authority, since a domain name and "organizations" stand for ids.
func (k Key) issues(issuer string) bool {
	text, found := strings.CutPrefix(issuer, k.Authority)
	text, ends := strings.CutSuffix(text, "/v2.0")
	tenant, err := identity.ParseTenantID(text)
	return found && ends && err == nil && !differ(k.Tenant, tenant.String())
}

// page writes fixed words: nothing that came with the request.
func page(w io.Writer, title, text string) {
	_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><meta charset="utf-8"><title>%s</title>
<body style="font-family:system-ui;max-width:32rem;margin:20vh auto;padding:0 1rem"><h1>%s</h1><p>%s</p></body></html>`, title, title, text)
}
