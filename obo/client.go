package obo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Client is an [Exchanger] with a cache. It is safe for concurrent use.
type Client struct {
	cloud           entra.Cloud
	tenant          identity.TenantID
	client          identity.ClientID
	consentRedirect string
	authority       *authority

	now         func() time.Time
	log         *slog.Logger
	timeout     time.Duration
	refusalLife time.Duration

	cache   *cache
	shared  SharedCache // nil: none
	flights singleflight.Group
	slots   chan struct{} // one value for each request to Entra under way

	stop    context.Context // ends when the client is closed
	stopNow context.CancelFunc
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // grows under mu, and not once closed
}

// wish is one exchange that somebody asks for.
type wish struct {
	caller    *identity.Caller
	assertion [32]byte // SHA-256 of the caller's token
	scope     entra.Scope
	claims    string
	cae       bool // whether the downstream API may demand claims of this person's client
	renew     bool // there is a token, it is to be replaced by a younger one
	untrusted bool // the shared cache may hold a rejected token
}

// answer is what one exchange brought, and how to find it in Entra's logs.
type answer struct {
	token              identity.Token
	decision           chain.Decision
	reason             string
	status             int // HTTP, 0 when Entra did not answer or was not asked
	correlation, trace string
	credential         int // version of the credential that was used
}

// Exchange implements [Exchanger].
func (cl *Client) Exchange(ctx context.Context, c *identity.Caller, s entra.Scope, claims string) (identity.Token, error) {
	start := cl.now()
	got, refusal := cl.exchange(ctx, c, s, claims, start)
	if chain.FromContext(ctx) != nil {
		chain.Add(ctx, cl.hop(c, s, &got, refusal, start))
	}
	if refusal != nil {
		return identity.Token{}, refusal
	}
	return got.token, nil
}

// Forget drops the refusal that is remembered for the caller and the scope, for a person who says that she has done what
// it asked for. The next call asks Entra, within the person's budget.
func (cl *Client) Forget(c *identity.Caller, s entra.Scope) {
	if c == nil {
		return
	}
	w := wish{caller: c, scope: s, assertion: assertionDigest(c), cae: c.CP1}
	cl.cache.forgetRefusal(w.key(cl.client))
}

// Close ends the exchanges under way, waits for them and forgets all tokens.
func (cl *Client) Close() error {
	cl.mu.Lock()
	cl.closed = true
	cl.mu.Unlock()
	cl.stopNow()
	cl.running.Wait()
	cl.cache.clear()
	return nil
}

func (cl *Client) exchange(ctx context.Context, c *identity.Caller, s entra.Scope, claims string, now time.Time) (answer, *Refusal) {
	w := wish{caller: c, scope: s, claims: claims}
	if refusal := cl.precheck(&w, now); refusal != nil {
		return answer{}, refusal
	}
	w.assertion, w.cae = assertionDigest(c), c.CP1
	key := w.key(cl.client)
	kept, ok := cl.cache.get(key, c, now)
	w.untrusted = kept.untrusted
	switch {
	case !ok:
		return cl.join(ctx, w, key)
	case kept.refusal != nil:
		return answer{}, kept.refusal
	case kept.refresh:
		w.renew = true
		cl.launch(ctx, w, key) // the answer is for later calls
	}
	return answer{token: kept.token, decision: chain.Cached}, nil
}

// assertionDigest trusts the digest that package bearer computed; a caller without one gets it here.
func assertionDigest(c *identity.Caller) [32]byte {
	if c.Digest != ([32]byte{}) {
		return c.Digest
	}
	return sha256Sum(c.Assertion)
}

// outcome is what a flight brings to all who wait for it.
type outcome struct {
	answer  answer
	refusal *Refusal
}

// join waits for the one flight that serves the wish, and starts it if need be. The flight survives the callers; a caller
// whose context ends leaves.
func (cl *Client) join(ctx context.Context, w wish, key digest) (answer, *Refusal) {
	select {
	case landed := <-cl.launch(ctx, w, key):
		if got, ok := landed.Val.(outcome); ok {
			return got.answer, got.refusal
		}
		return answer{}, unavailable("stopped", "This server could not finish the exchange.", landed.Err)
	case <-ctx.Done():
		return answer{}, cl.explain(ctx, ctx.Err(), &w)
	}
}

var (
	errClosed   = errors.New("obo: the client is closed")
	errPanicked = errors.New("obo: the exchange panicked")
)

// begin counts a flight that Close waits for, unless it is too late for one.
func (cl *Client) begin() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if !cl.closed {
		cl.running.Add(1)
	}
	return !cl.closed
}

// launch starts a flight for the wish unless one is under way. The flight has the values of the context that started it
// and a deadline of its own.
func (cl *Client) launch(ctx context.Context, w wish, key digest) <-chan singleflight.Result {
	return cl.flights.DoChan(string(key[:]), func() (landed any, err error) {
		if !cl.begin() {
			return nil, errClosed
		}
		defer cl.running.Done()
		defer func() { // of a library: in a goroutine of its own it would end the process
			if failure := recover(); failure != nil {
				cl.log.ErrorContext(ctx, "an exchange panicked", slog.String("type", fmt.Sprintf("%T", failure)))
				landed, err = nil, errPanicked
			}
		}()
		flight, cancel := context.WithTimeout(context.WithoutCancel(ctx), cl.timeout)
		defer cancel()
		defer context.AfterFunc(cl.stop, cancel)() //nolint:contextcheck // Close ends what nobody may wait for any more
		got, refusal := cl.fly(flight, &w, key)
		return outcome{got, refusal}, nil
	})
}

// fly gets a token that no cache of this process has, and keeps what it learns.
func (cl *Client) fly(ctx context.Context, w *wish, key digest) (answer, *Refusal) {
	now := cl.now()
	if !w.renew { // an earlier flight may have landed since the caller looked
		kept, ok := cl.cache.get(key, w.caller, now)
		if ok {
			return answer{token: kept.token, decision: chain.Cached}, kept.refusal
		}
		w.untrusted = w.untrusted || kept.untrusted
	}
	if refusal := cl.cache.admit(w.caller, now); refusal != nil {
		return answer{}, refusal
	}
	sharedKey := w.sharedKey(cl.client, key)
	if token, ok := cl.fromShared(ctx, w, sharedKey, now); ok {
		cl.cache.put(key, w.caller, token, now)
		return answer{token: token, decision: chain.Cached, reason: "shared"}, nil
	}
	got, err := cl.ask(ctx, w)
	if err != nil {
		refusal := cl.explain(ctx, err, w)
		cl.learn(w, key, refusal, cl.now())
		return got, refusal
	}
	got.decision = chain.Allowed
	cl.keep(ctx, w, key, sharedKey, got.token, cl.now())
	return got, nil
}

// keep puts a new token into the caches. One that satisfies a challenge serves calls without challenge, too.
func (cl *Client) keep(ctx context.Context, w *wish, key digest, sharedKey SharedKey, token identity.Token, now time.Time) {
	keys := map[digest]SharedKey{key: sharedKey}
	if w.claims != "" {
		plain := *w
		plain.claims = ""
		plainKey := plain.key(cl.client)
		keys[plainKey] = plain.sharedKey(cl.client, plainKey)
	}
	for k, sk := range keys {
		cl.cache.put(k, w.caller, token, now)
		if cl.shared != nil {
			cl.shared.Put(ctx, sk, token)
		}
	}
}

// tenantThrottled is the AADSTS code that says: too many requests of the whole tenant, not of one person.
const tenantThrottled = 90055

// learn remembers a refusal, so that Entra is not asked again too soon.
func (cl *Client) learn(w *wish, key digest, refusal *Refusal, now time.Time) {
	if refusal.revoked() {
		cl.cache.dropPerson(w.caller)
	}
	switch {
	case refusal.lasting():
		cl.cache.putRefusal(key, w.caller, refusal, now.Add(cl.refusalLife), now)
	case refusal.Entra == nil:
	case refusal.Kind == entra.Throttled && refusal.Entra.Number() != tenantThrottled:
		cl.cache.hold(w.caller, refusal, now.Add(cmp.Or(refusal.RetryAfter, cl.refusalLife)), now)
	case refusal.Kind == entra.Throttled || refusal.RetryAfter > 0: // Entra itself has too much to do
		cl.cache.pause(refusal, now.Add(cmp.Or(refusal.RetryAfter, time.Second)))
	}
}

// fromShared asks the shared cache, unless it is known to hold a token that was rejected.
func (cl *Client) fromShared(ctx context.Context, w *wish, key SharedKey, now time.Time) (identity.Token, bool) {
	if cl.shared == nil || w.untrusted {
		return identity.Token{}, false
	}
	token, ok := cl.shared.Get(ctx, key)
	if !ok || !speaksFor(token, w.caller) {
		return identity.Token{}, false
	}
	needed := minimumLife
	if w.renew {
		needed = cl.cache.refreshAhead
	}
	return token, token.Expires.Sub(now) > needed
}

// drop forgets a token that an API rejected, first where other replicas find it.
func (cl *Client) drop(ctx context.Context, c *identity.Caller, s entra.Scope, claims string, rejected identity.Token) {
	w := wish{caller: c, scope: s, assertion: assertionDigest(c), cae: c.CP1}
	plain := w.key(cl.client)
	if !cl.cache.holds(plain, rejected) {
		return // somebody was faster: the token there is a newer one
	}
	keys := []digest{plain}
	shared := []SharedKey{w.sharedKey(cl.client, plain)}
	if claims != "" {
		w.claims = claims
		keys = append(keys, w.key(cl.client))
		shared = append(shared, w.sharedKey(cl.client, keys[1]))
	}
	if cl.shared != nil {
		lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), cl.timeout) // a token that was rejected goes, whoever waits
		defer cancel()
		for _, key := range shared {
			cl.shared.Delete(lasting, key)
		}
	}
	cl.cache.drop(c, rejected, keys, cl.now())
}

func (w *wish) sharedKey(client identity.ClientID, key digest) SharedKey {
	return SharedKey{Caller: w.caller, Client: client, Scope: w.scope, Claims: w.claims, CAE: w.cae, Digest: key}
}

// hop is what the chain shows of one exchange.
func (cl *Client) hop(c *identity.Caller, s entra.Scope, got *answer, refusal *Refusal, start time.Time) chain.Hop {
	hop := chain.Hop{
		Station: chain.Exchange, Decision: got.decision, Reason: got.reason, Audience: s.Resource(), Client: cl.client.String(), Scopes: []string{s.String()},
		CorrelationID: got.correlation, TraceID: got.trace, Status: got.status, Expires: got.token.Expires, Start: start, Took: cl.now().Sub(start),
	}
	if c != nil {
		hop.Subject, hop.Tenant = c.Object.String(), c.Tenant.String()
		if c.Actor != nil {
			hop.Actor = c.Actor.Client.String()
		}
	}
	if got.token.Audience != "" {
		hop.Audience = got.token.Audience
	}
	if refusal == nil {
		return hop
	}
	hop.Decision, hop.Reason = chain.Refused, refusal.Reason
	if refusal.Kind == entra.Unavailable {
		hop.Decision = chain.Failed
	}
	if refusal.Entra != nil && hop.Status == 0 { // remembered
		hop.Status, hop.CorrelationID, hop.TraceID = refusal.Entra.Status, refusal.Entra.Correlation, refusal.Entra.Trace
	}
	return hop
}
