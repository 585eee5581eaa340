package entra

import (
	"net/http"
	"slices"
)

//go:generate go test . -run TestErrorsPageIsCurrent -update

// Who can mend a refusal, as [Advice] says it.
const (
	You      = "you"
	Admin    = "an administrator of the tenant"
	Operator = "the operator of this server"
	Maker    = "the maker of the client"
)

// AdviceFor returns what the catalogue says of an AADSTS code, and whether it holds that code.
func AdviceFor(code int) (Advice, bool) {
	for _, part := range [][]Advice{peopleCatalogue, setupCatalogue, serviceCatalogue} {
		if i := slices.IndexFunc(part, func(a Advice) bool { return a.Code == code }); i >= 0 {
			return part[i], true
		}
	}
	return Advice{}, false
}

// Catalogue returns everything the catalogue holds, by ascending code.
func Catalogue() []Advice {
	all := slices.Concat(peopleCatalogue, setupCatalogue, serviceCatalogue)
	slices.SortFunc(all, func(a, b Advice) int { return a.Code - b.Code })
	return all
}

// Advice says what is the matter, who can mend it and how: by the first AADSTS code that the catalogue holds, else by
// suberror, error name and status. It always has a Kind.
func (e *Error) Advice() Advice {
	for _, code := range e.AADSTS {
		if advice, ok := AdviceFor(code); ok {
			return advice
		}
	}
	advice := adviceByName(e)
	advice.Code = e.Number()
	return advice
}

// adviceByName is for codes that the catalogue lacks: the names of RFC 6749 §5.2 and of OpenID Connect Core §3.1.2.6.
func adviceByName(e *Error) Advice {
	switch {
	case e.Sub == "consent_required" || e.Code == "consent_required":
		return Advice{0, ConsentRequired, "Nobody has consented yet to what the application asks for.", You, "Give your consent, or ask an administrator to give it for everybody."}
	case e.Code == "interaction_required" || e.Code == "login_required" || e.Code == "invalid_grant" && e.Claims != "":
		return Advice{0, InteractionRequired, "Entra wants to see you before it goes on.", You, "Sign in again."}
	case e.Status == http.StatusTooManyRequests:
		return Advice{0, Throttled, "Entra has had too many requests.", You, "Wait a moment, then try again."}
	case e.Status >= http.StatusInternalServerError, e.Code == "server_error", e.Code == "temporarily_unavailable":
		return Advice{0, Unavailable, "Entra did not give a usable answer.", You, "Try again later."}
	case e.Code == "access_denied" || e.Code == "authorization_declined":
		return Advice{0, Blocked, "The sign-in was declined.", You, "Sign in again and accept."}
	case e.Code == "expired_token" || e.Code == "bad_verification_code":
		return Advice{0, InteractionRequired, "The sign-in took too long, or its code was used before.", You, "Start the sign-in anew."}
	case e.Code == "authorization_pending" || e.Code == "slow_down":
		return Advice{0, InteractionRequired, "The sign-in has not been finished in the browser.", You, "Finish it there."}
	case e.Code == "invalid_grant":
		return Advice{0, AssertionExpired, "Entra no longer accepts the sign-in that this call rests on.", You, "Sign in again."}
	case e.Code == "invalid_client":
		return Advice{0, Misconfigured, "Entra does not accept the application's credential.", Operator, "Check the application id and its secret, certificate or federated credential."}
	case e.Code == "unauthorized_client":
		return Advice{0, Misconfigured, "The application may not ask for a token in this way.", Operator, "Check the application id, its tenant and its registration."}
	case e.Code == "invalid_scope" || e.Code == "invalid_resource" || e.Code == "invalid_target":
		return Advice{0, Misconfigured, "The permission that was asked for does not exist, or not in this tenant.", Operator, "Check the scope and the API's registration."}
	default:
		return Advice{0, Misconfigured, "Entra refused the request.", Operator, "Look the code up with the correlation id in Entra's sign-in logs."}
	}
}
