package entraserver

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// Policies is what the tenant's administrator demands, as data: the body of PUT /_local/policies, and a YAML file. It
// replaces what was in force. People are named by UPN, short name or object id; applications by application id, App ID
// URI or display name. A list that is empty or missing means all.
type Policies struct {
	Rules              []Rule       `json:"rules,omitempty" yaml:"rules"`
	ConsentMissing     []ConsentGap `json:"consent_missing,omitempty" yaml:"consent_missing"`
	AssignmentRequired []string     `json:"assignment_required,omitempty" yaml:"assignment_required"` // applications that only assigned people may use (AADSTS50105)
	Revoked            []string     `json:"revoked,omitempty" yaml:"revoked"`                         // people whose sign-ins up to now are void (AADSTS50173)
	Disabled           []string     `json:"disabled,omitempty" yaml:"disabled"`                       // people whose account is disabled (AADSTS50057)
	Resource           ResourceMode `json:"resource_parameter,omitempty" yaml:"resource_parameter"`   // "" leaves it as the server was configured
	RefuseRevoked      *bool        `json:"refuse_revoked_assertions,omitempty" yaml:"refuse_revoked_assertions"`
	// RevokeAfterSeconds voids every sign-in so long after it happened.
	RevokeAfterSeconds  int `json:"revoke_after_seconds,omitempty" yaml:"revoke_after_seconds"`
	RefreshTokenSeconds int `json:"refresh_token_seconds,omitempty" yaml:"refresh_token_seconds"` // life of refresh tokens that are not used; 0: 90 days
	AccessTokenSeconds  int `json:"access_token_seconds,omitempty" yaml:"access_token_seconds"`   // life of new access tokens; 0: as configured

	// GraphDelay is how many requests to Graph miss an application or service principal that was just made, as with
	// Entra's replication; 0: as configured.
	GraphDelay int `json:"graph_delay_requests,omitempty" yaml:"graph_delay_requests"`
	// AppIDURIs is what Graph accepts as App ID URI of an API with v2 tokens: "" anything, "verified-domain" web addresses
	// below the tenant's own domain alone.
	AppIDURIs string `json:"app_id_uris,omitempty" yaml:"app_id_uris"`
}

// Rule is one Conditional Access policy.
type Rule struct {
	ID        string   `json:"id,omitempty" yaml:"id"`     // a GUID, which claims challenges name; made when missing
	Name      string   `json:"name,omitempty" yaml:"name"` // for people
	People    []string `json:"people,omitempty" yaml:"people"`
	Clients   []string `json:"clients,omitempty" yaml:"clients"`
	Resources []string `json:"resources,omitempty" yaml:"resources"`
	Require   string   `json:"require" yaml:"require"`           // "mfa" 50076, "mfa-enrolment" 50079, "device" 53000, "block" 53003, "fresh-sign-in" 70043
	Seconds   int      `json:"seconds,omitempty" yaml:"seconds"` // of "fresh-sign-in": how old a sign-in may be
}

// ConsentGap hides consent that is there, until a person or an administrator consents anew (AADSTS65001).
type ConsentGap struct {
	Client   string   `json:"client" yaml:"client"`
	Resource string   `json:"resource" yaml:"resource"`
	People   []string `json:"people,omitempty" yaml:"people"`
}

// What a rule may require.
const (
	requireMFA       = "mfa"
	requireEnrolment = "mfa-enrolment"
	requireDevice    = "device"
	requireBlock     = "block"
	requireFresh     = "fresh-sign-in"
)

const (
	maxGraphDelay = 1000
	onlyVerified  = "verified-domain" // app_id_uris
)

// policySet is [Policies] with names resolved. Nothing changes it but its gaps, under the mutex of the book.
type policySet struct {
	source        Policies
	rules         []rule
	gaps          []*gap
	assignment    map[identity.ClientID]bool
	disabled      map[identity.ObjectID]bool
	resource      ResourceMode
	refuseRevoked bool
	life          time.Duration // of access tokens; 0: random
	refreshLife   time.Duration
	revokeAfter   time.Duration // 0: never
	graphDelay    int           // requests
	verifiedURIs  bool
}

type rule struct {
	id                 string
	people             map[identity.ObjectID]bool // nil: all
	clients, resources map[identity.ClientID]bool
	require            string
	age                time.Duration
}

type gap struct {
	client, resource identity.ClientID
	people           map[identity.ObjectID]bool // nil: all
	closed           map[identity.ObjectID]bool // who consented since
}

func (r rule) covers(person identity.ObjectID, client, resource identity.ClientID) bool {
	return (r.people == nil || r.people[person]) && (r.clients == nil || r.clients[client]) && (r.resources == nil || r.resources[resource])
}

// policyBook holds the policies in force.
type policyBook struct {
	mu   sync.RWMutex
	set  *policySet
	base policySet // as configured
}

func newPolicyBook(config Config) *policyBook {
	base := policySet{resource: config.Resource, refuseRevoked: config.RefuseRevoked, life: config.AccessTokenLife, refreshLife: refreshLife, graphDelay: config.GraphDelay}
	return &policyBook{set: &base, base: base}
}

func (b *policyBook) current() *policySet {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.set
}

func (b *policyBook) replace(set *policySet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set = set
}

// reset brings back what was configured.
func (b *policyBook) reset() {
	base := b.base
	b.replace(&base)
}

// consentHidden reports whether a gap hides the consent.
func (b *policyBook) consentHidden(client, resource identity.ClientID, person identity.ObjectID) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.ContainsFunc(b.set.gaps, func(g *gap) bool {
		return g.client == client && g.resource == resource && (g.people == nil || g.people[person]) && !g.closed[person]
	})
}

// consented closes gaps: for one person, or for everybody when the person is zero.
func (b *policyBook) consented(client, resource identity.ClientID, person identity.ObjectID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := *b.set
	next.gaps = nil
	for _, g := range b.set.gaps {
		if g.client == client && g.resource == resource {
			if person.IsZero() {
				continue
			}
			g.closed[person] = true
		}
		next.gaps = append(next.gaps, g)
	}
	b.set = &next
}

// SetPolicies puts policies in force, in place of those before. All mistakes are reported at once, and then nothing
// changes.
func (s *Server) SetPolicies(p Policies) error {
	set, revoked, err := s.compile(p)
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	s.policies.replace(set)
	for _, person := range revoked {
		s.ages.revoke(person)
	}
	return nil
}

// compile resolves every name.
func (s *Server) compile(p Policies) (*policySet, []identity.ObjectID, error) {
	var errs []error
	people := func(names []string) map[identity.ObjectID]bool { return resolve(names, s.personID, &errs) }
	apps := func(names []string) map[identity.ClientID]bool { return resolve(names, s.applicationID, &errs) }
	base := s.policies.base
	set := &policySet{source: p, assignment: apps(p.AssignmentRequired), disabled: people(p.Disabled), resource: base.resource, refuseRevoked: base.refuseRevoked}
	for _, r := range p.Rules {
		if !slices.Contains([]string{requireMFA, requireEnrolment, requireDevice, requireBlock, requireFresh}, r.Require) {
			errs = append(errs, fmt.Errorf("rule %q: require %q: want mfa, mfa-enrolment, device, block or fresh-sign-in", r.Name, r.Require))
		}
		if (r.Require == requireFresh) != (r.Seconds > 0) {
			errs = append(errs, fmt.Errorf("rule %q: seconds belong to fresh-sign-in, which needs them", r.Name))
		}
		if r.ID == "" {
			r.ID = newGUID()
		} else if object(r.ID).IsZero() {
			errs = append(errs, fmt.Errorf("rule %q: id %q is no GUID", r.Name, r.ID))
		}
		set.rules = append(set.rules, rule{lower(r.ID), people(r.People), apps(r.Clients), apps(r.Resources), r.Require, time.Duration(r.Seconds) * time.Second})
	}
	for _, g := range p.ConsentMissing {
		client, err1 := s.applicationID(g.Client)
		resource, err2 := s.applicationID(g.Resource)
		errs = append(errs, err1, err2)
		set.gaps = append(set.gaps, &gap{client, resource, people(g.People), map[identity.ObjectID]bool{}})
	}
	switch p.Resource {
	case "":
	case ResourceEnforced, ResourceIgnored, ResourceRejected:
		set.resource = p.Resource
	default:
		errs = append(errs, fmt.Errorf("resource_parameter %q: want enforce, ignore or reject-901002", p.Resource))
	}
	if p.RefuseRevoked != nil {
		set.refuseRevoked = *p.RefuseRevoked
	}
	set.graphDelay = base.graphDelay
	if p.GraphDelay < 0 || p.GraphDelay > maxGraphDelay {
		errs = append(errs, fmt.Errorf("graph_delay_requests: want at most %d", maxGraphDelay))
	} else if p.GraphDelay > 0 {
		set.graphDelay = p.GraphDelay
	}
	if set.verifiedURIs = p.AppIDURIs == onlyVerified; p.AppIDURIs != "" && !set.verifiedURIs {
		errs = append(errs, fmt.Errorf("app_id_uris %q: want %s, or nothing", p.AppIDURIs, onlyVerified))
	}
	set.life = seconds("access_token_seconds", p.AccessTokenSeconds, 28*time.Hour, base.life, &errs)
	set.refreshLife = seconds("refresh_token_seconds", p.RefreshTokenSeconds, refreshLife, base.refreshLife, &errs)
	set.revokeAfter = seconds("revoke_after_seconds", p.RevokeAfterSeconds, refreshLife, 0, &errs)
	var revoked []identity.ObjectID
	for id := range people(p.Revoked) {
		revoked = append(revoked, id)
	}
	return set, revoked, errors.Join(errs...)
}

// seconds reads a time of a policy; 0 is the default.
func seconds(name string, n int, most, byDefault time.Duration, errs *[]error) time.Duration {
	d := time.Duration(n) * time.Second
	if n < 0 || n > int(most/time.Second) {
		*errs = append(*errs, fmt.Errorf("%s: want at most %d", name, int(most/time.Second)))
	}
	if d <= 0 {
		return byDefault
	}
	return d
}

func resolve[ID comparable](names []string, find func(string) (ID, error), errs *[]error) map[ID]bool {
	if len(names) == 0 {
		return nil
	}
	out := make(map[ID]bool, len(names))
	for _, name := range names {
		id, err := find(name)
		*errs = append(*errs, err)
		out[id] = true
	}
	return out
}

func (s *Server) personID(name string) (identity.ObjectID, error) {
	if p := s.dir.FindPerson(name); p != nil {
		return p.ID, nil
	}
	return identity.ObjectID{}, fmt.Errorf("nobody is called %q; GET /_local/people lists everyone", name)
}

func (s *Server) applicationID(name string) (identity.ClientID, error) {
	if a := s.dir.FindApplication(name); a != nil {
		return a.AppID, nil
	}
	return identity.ClientID{}, fmt.Errorf("no application is called %q: want its application id, App ID URI or display name", name)
}
