package explain

import (
	"regexp"
	"slices"

	"github.com/onbehalf/onbehalf/entra"
)

// serverNames are the errors with which a server refuses a token: those of RFC 6750 §3.1, and Entra's for claims.
func serverNames() []Finding {
	return []Finding{
		{Name: "invalid_token", Known: true, Cause: "The server does not accept the token: it has expired, or is for another API, tenant or version.", Who: entra.You, Fix: "Sign in again (onbehalf login); if that does not help, \"onbehalf doctor --token-file FILE\" says why the token is refused."},
		{Name: "insufficient_scope", Known: true, Cause: "The token lacks the permission that the server needs.", Who: entra.Maker, Fix: "Ask for the scope that the answer names, in full, as in api://API_CLIENT_ID/execute."},
		{Name: "insufficient_claims", Known: true, Kind: entra.InteractionRequired.String(), Cause: "A policy demands more of the sign-in than the token shows, such as a second factor.", Who: entra.You, Fix: "Sign in again with a client that handles claims challenges; \"onbehalf call\" does."},
	}
}

// symptom is a text that is no error of Entra's, and what it tells.
type symptom struct {
	pattern *regexp.Regexp
	finding Finding
}

// symptoms are texts of networks, of the services, of libraries and of this project's server, the cause before what follows
// from it. They are compiled when they are needed: most commands never do.
func symptoms() []symptom {
	return slices.Concat(networkSymptoms(), searchSymptoms(), graphSymptoms(), serverSymptoms())
}

// networkSymptoms are on the way there.
func networkSymptoms() []symptom {
	return []symptom{
		{
			regexp.MustCompile(`(?i)x509: certificate signed by unknown authority|self[- ]signed certificate|unable to (?:get|verify).{0,30}(?:issuer|certificate)|UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERTIFICATE_VERIFY_FAILED|SEC_E_UNTRUSTED_ROOT`),
			Finding{Name: "certificate not trusted", Cause: "The certificate of the other side is signed by an authority that this machine does not trust: a local Entra or Search, or a proxy that looks into TLS.", Who: entra.Operator, Fix: "For the local ones set ONBEHALF_CA_FILE (Node: NODE_EXTRA_CA_CERTS, Python: SSL_CERT_FILE) to what \"onbehalf local --write-env\" wrote; for a proxy install its CA in the system's store."},
		},
		{
			regexp.MustCompile(`(?i)x509: certificate has expired|CERT_HAS_EXPIRED|certificate has expired or is not yet valid`),
			Finding{Name: "certificate expired", Cause: "The certificate of the other side has expired, or the clock of this machine is wrong.", Who: entra.Operator, Fix: "Check this machine's clock first, then renew the certificate."},
		},
		{
			regexp.MustCompile(`(?i)x509: certificate is (?:valid for|not valid for any)|x509: cannot validate certificate for|ERR_TLS_CERT_ALTNAME_INVALID|hostname mismatch`),
			Finding{Name: "certificate of another name", Cause: "The certificate of the other side is for another name than the one that was asked.", Who: entra.Operator, Fix: "Use the name in the certificate: the local Entra and Search are https://localhost, not an address."},
		},
		{
			regexp.MustCompile(`(?i)no such host|ENOTFOUND|getaddrinfo|name or service not known|server misbehaving`),
			Finding{Name: "name not found", Cause: "The name of the host is not known to DNS.", Who: entra.Operator, Fix: "Check the spelling of the endpoint; a search service behind a private endpoint is known in its own network alone."},
		},
		{
			regexp.MustCompile(`(?i)proxyconnect|proxy (?:authentication|error)|\b407\b.{0,20}proxy`),
			Finding{Name: "proxy", Cause: "The proxy between here and the host does not let the connection through.", Who: entra.Operator, Fix: "Check HTTPS_PROXY, and put hosts that need no proxy into NO_PROXY."},
		},
		{
			regexp.MustCompile(`(?i)connection refused|ECONNREFUSED|actively refused`),
			Finding{Name: "connection refused", Cause: "Nothing listens at this address.", Who: entra.Operator, Fix: "Start it (onbehalf serve, onbehalf local), or correct the host and port."},
		},
		{
			regexp.MustCompile(`(?i)no route to host|network is unreachable|ENETUNREACH|EHOSTUNREACH`),
			Finding{Name: "no way there", Cause: "This machine has no network, or no way from its network to that host.", Who: entra.Operator, Fix: "Check the cable, Wi-Fi or VPN; in a container, the network that it was started with."},
		},
		{
			regexp.MustCompile(`(?i)i/o timeout|ETIMEDOUT|context deadline exceeded|TLS handshake timeout`),
			Finding{Name: "no answer", Cause: "The host does not answer in time: a firewall, a private network, or a proxy that is needed and not set.", Who: entra.Operator, Fix: "Check whether this machine may reach the host at all; set HTTPS_PROXY where one is needed."},
		},
	}
}

// searchSymptoms are of Azure AI Search: in our server's words and in its chain, then in the service's own.
func searchSymptoms() []symptom {
	return []symptom{
		{
			regexp.MustCompile(`the search service refuses: this server or you lack a role|search: (?:HTTP 403|forbidden)|"station":"search"[^{}]{0,200}"HTTP 403"`),
			Finding{Name: "search service: HTTP 403", Cause: "Azure AI Search does not take the server's key, or the server's identity (or the person) lacks a role there, or the service accepts keys alone.", Who: entra.Operator, Fix: "Set AZURE_SEARCH_KEY to a query key, or leave it out and give the server's identity Search Index Data Reader and allow roles (Settings > Keys > API access control: Both). \"onbehalf doctor\" says which (search.access)."},
		},
		{
			regexp.MustCompile(`the search service does not accept your token|search: (?:HTTP 401|unauthorized)|"station":"search"[^{}]{0,200}"HTTP 401"`),
			Finding{Name: "search service: HTTP 401", Cause: "Azure AI Search does not take the token of the server or of the person: it belongs to another tenant, or accepts keys alone.", Who: entra.Operator, Fix: "The service's subscription has to be in TENANT_ID; allow roles (Settings > Keys > API access control: Both). \"onbehalf doctor\" tells the two apart (search.access, search.person)."},
		},
		{
			regexp.MustCompile(`the search service has no such index|search: (?:HTTP 404|not found)|"station":"search"[^{}]{0,200}"HTTP 404"`),
			Finding{Name: "search service: HTTP 404", Cause: "The search service has no index with this name.", Who: entra.Operator, Fix: "Check AZURE_SEARCH_INDEX; \"onbehalf setup index apply\" makes the index."},
		},
		{
			regexp.MustCompile(`(?i)Audience claim is invalid in the JWT`),
			Finding{Name: "token for another API", Kind: entra.AssertionAudience.String(), Cause: "Azure AI Search got a token that is for another API: one of Microsoft Graph, or the one that came in, sent on unexchanged.", Who: entra.Operator, Fix: "Exchange the person's token on behalf of her for https://search.azure.com/.default, and send that in x-ms-query-source-authorization."},
		},
		{
			regexp.MustCompile(`(?i)api key is not permitted in the URI`),
			Finding{Name: "key in the URL", Cause: "Azure AI Search takes its key in the header api-key alone.", Who: entra.Maker, Fix: "Send the header api-key."},
		},
		{
			regexp.MustCompile(`(?i)api-version.{0,60}(?:is invalid|not supported)`),
			Finding{Name: "API version", Cause: "Azure AI Search does not know the API version that was asked for.", Who: entra.Operator, Fix: "Use 2025-11-01-preview or a later preview: general availability versions have no document permissions."},
		},
		{
			regexp.MustCompile(`(?i)permissionFilter\w* .{0,60}does not exist|property 'permissionFilter`),
			Finding{Name: "API version without permissions", Cause: "The index is defined through an API version that does not know document permissions.", Who: entra.Operator, Fix: "Define it through 2025-11-01-preview or a later preview."},
		},
	}
}

// graphSymptoms are of Microsoft Graph and of Microsoft's libraries.
func graphSymptoms() []symptom {
	return []symptom{
		{
			regexp.MustCompile(`Authorization_RequestDenied|Insufficient privileges to complete the operation`),
			Finding{Name: "Authorization_RequestDenied", Cause: "Microsoft Graph refuses: who asks lacks a permission or a directory role.", Who: entra.Admin, Fix: "Grant and consent to the permission that the call needs (Application.Read.All to look at registrations, Application.ReadWrite.All to change them)."},
		},
		{
			regexp.MustCompile(`Request_ResourceNotFound`),
			Finding{Name: "Request_ResourceNotFound", Cause: "Microsoft Graph has no such object, in this tenant.", Who: entra.Operator, Fix: "Check the id and TENANT_ID; an object that was just made takes some seconds to be found."},
		},

		{
			regexp.MustCompile(`resource_parameter_required`),
			Finding{Name: "resource_parameter_required", Cause: "MSAL for Node in MCP mode wants the parameter resource.", Who: entra.Maker, Fix: "Send resource with exactly an App ID URI of the API; the server's URL should be one of them."},
		},
		{
			regexp.MustCompile(`(?i)ManagedIdentityCredential authentication unavailable|no managed identity endpoint found|IMDS`),
			Finding{Name: "no managed identity", Cause: "There is no managed identity here: the program does not run in Azure, or the resource has none assigned.", Who: entra.Operator, Fix: "Assign the identity to the resource and set MANAGED_IDENTITY_CLIENT_ID; on a laptop use CLIENT_SECRET or a certificate."},
		},
		{
			regexp.MustCompile(`DefaultAzureCredential: failed to acquire a token`),
			Finding{Name: "no credential", Cause: "None of the sign-ins that DefaultAzureCredential tries is there.", Who: entra.Operator, Fix: "Sign in with az login, or set AZURE_SEARCH_KEY, or give the server a secret or managed identity."},
		},
	}
}

// serverSymptoms are of this project's server, in the words of its challenges.
func serverSymptoms() []symptom {
	return []symptom{
		{
			regexp.MustCompile(`this server accepts tokens of version 2\.0`),
			Finding{Name: "token version", Cause: "The API's registration makes Entra issue v1 tokens.", Who: entra.Operator, Fix: "Set requestedAccessTokenVersion to 2: App registrations > the API > Manifest; then sign in again."},
		},
		{
			regexp.MustCompile(`the token was issued for another API`),
			Finding{Name: "token for another API", Kind: entra.AssertionAudience.String(), Cause: "The client sent a token whose audience is not this API, such as one of Microsoft Graph.", Who: entra.Maker, Fix: "Ask for the scope that the server names in full (api://API_CLIENT_ID/execute)."},
		},
		{
			regexp.MustCompile(`tenant that this server does not serve`),
			Finding{Name: "another tenant", Cause: "The person signed in to another tenant than TENANT_ID.", Who: entra.You, Fix: "Sign in with an account of the server's tenant (onbehalf login --tenant ID)."},
		},
		{
			regexp.MustCompile(`the token is an application's, without a person`),
			Finding{Name: "app-only token", Kind: entra.AppOnly.String(), Cause: "The token speaks for an application, so there is nobody to act for.", Who: entra.Maker, Fix: "Sign a person in (device code or browser) instead of using client credentials."},
		},
		{
			regexp.MustCompile(`the token has expired`),
			Finding{Name: "token expired", Kind: entra.AssertionExpired.String(), Cause: "The token has expired, or a clock is wrong.", Who: entra.You, Fix: "Sign in again; if it happens at once, check the clocks of client and server."},
		},
		{
			regexp.MustCompile(`person is in more groups than a token holds|your groups do not fit into the token`),
			Finding{Name: "groups overage", Cause: "The person is in more than 200 groups, and the server cannot ask Microsoft Graph for them.", Who: entra.Operator, Fix: "Consent to User.Read of Microsoft Graph for the API, or leave the groups claim out of its tokens: the search service looks groups up itself."},
		},
	}
}

// symptomsIn returns what a text shows, in the order of the table, each cause once.
func symptomsIn(text string) []Finding {
	var found []Finding
	for _, s := range symptoms() {
		if s.pattern.MatchString(text) {
			f := s.finding
			f.Known = true
			found = append(found, f)
		}
	}
	return found
}

// Symptom returns what a text shows that is no answer of Entra's, such as an error of the network.
func Symptom(text string) (Finding, bool) {
	found := symptomsIn(text)
	if len(found) == 0 {
		return Finding{}, false
	}
	return found[0], true
}
