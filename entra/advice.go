package entra

// Kind says what kind of refusal an error is, and with it what can be done.
type Kind int

// The kinds of refusal. The zero Kind is not one.
const (
	_                   Kind = iota
	ConsentRequired          // the person or an administrator must consent
	InteractionRequired      // the person must sign in again, mostly with the error's claims (MFA)
	Blocked                  // a policy forbids it: account disabled, Conditional Access, not assigned
	AppOnly                  // the caller is an application without a person
	AssertionExpired         // the person's token has expired or was revoked: sign in again
	AssertionAudience        // the token was issued for another API
	Misconfigured            // registration, credential, tenant or scope: an administrator or developer must mend it
	Throttled                // too many requests: wait
	Unavailable              // Entra is away or answers nonsense: try again later
)

// String returns the kind in lower case with hyphens, as logs and the chain show it.
func (k Kind) String() string {
	switch k {
	case ConsentRequired:
		return "consent-required"
	case InteractionRequired:
		return "interaction-required"
	case Blocked:
		return "blocked"
	case AppOnly:
		return "app-only"
	case AssertionExpired:
		return "assertion-expired"
	case AssertionAudience:
		return "assertion-audience"
	case Misconfigured:
		return "misconfigured"
	case Throttled:
		return "throttled"
	case Unavailable:
		return "unavailable"
	default:
		return "unknown"
	}
}

// Advice is what the catalogue knows about an error, in words that may be shown to people.
type Advice struct {
	Code  int // AADSTS, 0 for advice by error name
	Kind  Kind
	Cause string // one sentence: what is the matter
	Who   string // who can mend it: "you", "an administrator of the tenant", "the operator of this server"
	Fix   string // one sentence: what that person does
}
