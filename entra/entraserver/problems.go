package entraserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/onbehalf/onbehalf/entra"
)

// refusal is how Entra says one AADSTS code.
type refusal struct {
	status    int
	code, sub string
	text      string // for fmt.Sprintf
}

// Names of errors, RFC 6749 §5.2 and Entra's own.
const (
	invalidRequest  = "invalid_request"
	invalidClient   = "invalid_client"
	invalidGrant    = "invalid_grant"
	invalidScope    = "invalid_scope"
	invalidResource = "invalid_resource"
	interaction     = "interaction_required"
	unauthorized    = "unauthorized_client"
)

// refusals is the catalogue of what this server can say. Names and texts are those of the real service where a public
// report shows them, else those of its documentation.
//
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
//
//nolint:gochecknoglobals // a table that nothing changes
var refusals = map[int]refusal{
	// The request.
	900144:  {400, invalidRequest, "", "The request body must contain the following parameter: '%s'."},
	900561:  {400, invalidRequest, "", "The endpoint only accepts POST requests. Received a %s request."},
	9002313: {400, invalidRequest, "", "Invalid request. Request is malformed or invalid."},
	90023:   {400, invalidRequest, "", "The request parameter '%s' is not valid: %s"},
	90002:   {400, "invalid_tenant", "", "Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."},
	900023:  {400, invalidRequest, "", "Specified tenant identifier '%s' is neither a valid DNS name, nor a valid external domain."},
	90124:   {400, invalidRequest, "", "Resource '%s' (%s) is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint."},
	9001023: {400, invalidRequest, "", "The grant type '%s' is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint."},
	50194:   {400, invalidRequest, "", "Application '%s'(%s) is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant."},
	70003:   {400, "unsupported_grant_type", "", "The app requested an unsupported grant type '%s'."},
	9002331: {400, invalidRequest, "", "Application '%s'(%s) is configured for use by Azure Active Directory users only. Please do not use the /consumers endpoint to serve this request."},
	50049:   {400, "invalid_instance", "", "Unknown or invalid instance."},
	90033:   {503, "temporarily_unavailable", "", "A transient error has occurred. Please try again."},
	90055:   {429, "temporarily_unavailable", "", "Tenant is throttled due to excessive request volume."},

	// The client.
	700016:  {400, unauthorized, "", "Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."},
	700038:  {400, unauthorized, "", "%s is not a valid application identifier."},
	7000112: {400, unauthorized, "", "Application '%s'(%s) is disabled."},
	7000215: {401, invalidClient, "", "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'."},
	7000216: {401, invalidClient, "", "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."},
	7000218: {401, invalidClient, "", "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
	7000222: {401, invalidClient, "", "The provided client secret keys for app '%s' are expired. Visit the Azure portal to create new keys for your app, or consider using certificate credentials for added security."},
	700025:  {401, invalidClient, "", "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."},
	700023:  {401, invalidClient, "", "Client assertion audience claim does not match Realm issuer. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials."},
	50166:   {401, invalidClient, "", "Request to External OIDC endpoint failed."},
	700027:  {401, invalidClient, "", "Client assertion failed signature validation. %s"},
	700024:  {401, invalidClient, "", "Client assertion is not within its valid time range. Current time: %s, assertion valid from %s, expiry time of assertion %s."},
	50012:   {401, invalidClient, "", "Authentication failed: %s"},
	50048:   {401, invalidClient, "", "Subject must match Issuer claim in the client assertion."},
	700211:  {401, invalidClient, "", "No matching federated identity record found for presented assertion issuer '%s'."},
	700212:  {401, invalidClient, "", "No matching federated identity record found for presented assertion audience '%s'."},
	700213:  {401, invalidClient, "", "No matching federated identity record found for presented assertion subject '%s'. Please note that the matching is done using a case-sensitive comparison. Check your federated identity credential Subject, Audience and Issuer against the presented assertion."},
	700229:  {401, invalidClient, "", "Only app-only tokens can be used as Federated Identity Credentials for an application."},
	7000114: {400, unauthorized, "", "Application '%s' is not allowed to make application on-behalf-of calls."},

	// Codes and tokens that are handed in.
	70016:   {400, "authorization_pending", "", "OAuth 2.0 device flow error. Authorization is pending. Continue polling."},
	70018:   {400, "bad_verification_code", "", "Invalid verification code due to User typing in wrong user code for device code flow."},
	70019:   {400, "expired_token", "", "Verification code expired. Have the user retry sign-in."},
	70020:   {400, "expired_token", "", "The provided value for the input parameter 'device_code' is not valid. This device code has expired."},
	90119:   {400, invalidRequest, "", "The user code is null or empty."},
	90120:   {400, invalidRequest, "", "The user code was already authorized or declined."},
	650056:  {400, invalidRequest, "", "Misconfigured application. This could be due to one of the following: the client has not listed any permissions in the requested permissions in the client's application registration."},
	65004:   {400, "access_denied", "", "User declined to consent to access the app."},
	70000:   {400, invalidGrant, "", "The provided grant is invalid or has expired."},
	70008:   {400, invalidGrant, "", "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource."},
	54005:   {400, invalidGrant, "", "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."},
	500112:  {400, invalidClient, "", "The reply URL specified in the request does not match the reply URL used when requesting the authorization code."},
	501481:  {400, invalidGrant, "", "The Code_Verifier does not match the code_challenge supplied in the authorization request."},
	700082:  {400, invalidGrant, "", "The refresh token has expired due to inactivity. The token was issued on %s and was inactive for 90.00:00:00."},
	700084:  {400, invalidGrant, "token_expired", "The refresh token was issued to a single page app (SPA), and therefore has a fixed, limited lifetime of 1.00:00:00, which can't be extended. It is now expired and a new sign in request must be sent by the SPA to the sign in page. The token was issued on %s."},
	50173:   {400, invalidGrant, "bad_token", "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password. The grant was issued on '%s' and the TokensValidFrom date (before which tokens are not valid) for this user is '%s'."},
	70043:   {400, invalidGrant, "token_expired", "The refresh token has expired or is invalid due to sign-in frequency checks by Conditional Access. The token was issued on %s and the maximum allowed lifetime for this request is %d."},
	9002326: {400, invalidRequest, "", "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type. Request origin: '%s'."},
	9002327: {400, invalidRequest, "", "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests."},

	// The assertion of an on-behalf-of exchange.
	50027:  {400, invalidRequest, "", "JWT token is invalid or malformed."},
	240002: {400, invalidRequest, "", "Input id_token cannot be used as 'urn:ietf:params:oauth:grant-type:jwt-bearer' grant."},
	50013:  {400, invalidGrant, "", "Assertion failed signature validation. [Reason - %s]"},
	500131: {400, invalidGrant, "", "Assertion audience does not match the Client app presenting the assertion. The audience in the assertion was '%[1]s' and the expected audience is '%[2]s' or one of the Application Uris of this application with App ID '%[2]s'(%[3]s). The downstream client must request a token for the expected audience (the application that made the OBO request) and this application should use that token as the assertion."},
	500133: {400, invalidGrant, "", "Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion, or request a new token. Current time: %s, expiry time of assertion %s."},

	// Scopes and resources.
	70011:   {400, invalidScope, "", "The provided value for the input parameter 'scope' isn't valid. %s"},
	1002012: {400, invalidScope, "", "The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."},
	28002:   {400, invalidScope, "", "Provided value for the input parameter scope '%s' isn't valid when requesting an access token. Specify a valid scope."},
	28003:   {400, invalidScope, "", "Provided value for the input parameter scope can't be empty when requesting an access token using the provided authorization code. Specify a valid scope."},
	700022:  {400, invalidScope, "", "The provided value for the input parameter scope '%s' is not valid: it holds scopes of more than one resource."},
	650053:  {400, invalidClient, "", "The application '%s' asked for scope '%s' that doesn't exist on the resource '%s'. Contact the app vendor."},
	500011:  {400, invalidResource, "", "The resource principal named %s was not found in the tenant named %s. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."},
	9010010: {400, "invalid_target", "", "The resource parameter provided in the request doesn't match with the requested scopes."},
	901002:  {400, invalidRequest, "", "The 'resource' request parameter isn't supported."},

	// The person and the policies.
	50034:   {400, invalidGrant, "", "The user account %s does not exist in the %s directory. To sign into this application, the account must be added to the directory."},
	50126:   {400, invalidGrant, "", "Error validating credentials due to invalid username or password."},
	50057:   {400, invalidGrant, "", "The user account is disabled."},
	50058:   {400, "login_required", "", "A silent sign-in request was sent but no user is signed in."},
	65001:   {400, invalidGrant, "consent_required", "The user or administrator has not consented to use the application with ID '%s' named '%s'. Send an interactive authorization request for this user and resource."},
	50105:   {400, invalidGrant, "", "Your administrator has configured the application %s ('%s') to block users unless they are specifically granted ('assigned') access to the application. The signed in user '%s' is blocked because they are not a direct member of a group with access, nor had access directly assigned by an administrator. Please contact your administrator to assign access to this application."},
	50076:   {400, invalidGrant, "basic_action", "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '%s'."},
	50079:   {400, invalidGrant, "basic_action", "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access '%s'."},
	53000:   {400, interaction, "message_only", "Device is not in required device state: not compliant. Conditional Access policy requires a compliant device to access '%s', and the device is not compliant."},
	53003:   {400, interaction, "message_only", "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."},
	50074:   {400, invalidGrant, "basic_action", "Strong Authentication is required."},
	50011:   {400, invalidRequest, "", "The redirect URI '%s' specified in the request does not match the redirect URIs configured for the application '%s'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal."},
	501491:  {400, invalidRequest, "", "Invalid size of Code_Challenge parameter."},
	700051:  {400, "unsupported_response_type", "", "response_type '%s' is not enabled for the application."},
	700054:  {400, "unsupported_response_type", "", "response_type 'id_token' is not enabled for the application."},
	70007:   {400, invalidRequest, "", "'query' is not a supported value of 'response_mode' when requesting a token."},
	9002325: {400, invalidRequest, "", "Proof Key for Code Exchange is required for cross-origin authorization code redemption."},
	500121:  {400, "access_denied", "", "Authentication failed during strong authentication request."},
	50158:   {400, invalidGrant, "basic_action", "External security challenge was not satisfied."},
}

// refuse makes the error of an AADSTS code; a code that the catalogue lacks is our mistake and a transient error.
func refuse(number int, args ...any) *entra.Error {
	r, ok := refusals[number]
	if !ok {
		number, args = 90033, nil
		r = refusals[number]
	}
	text := r.text
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	return &entra.Error{Status: r.status, Code: r.code, Sub: r.sub, AADSTS: []int{number}, Description: prefixed(number, text)}
}

func prefixed(number int, text string) string { return "AADSTS" + strconv.Itoa(number) + ": " + text }

// outcomeOf names a refusal where requests are counted: "invalid_grant AADSTS50076".
func outcomeOf(e *entra.Error) string {
	if n := e.Number(); n != 0 {
		return e.Code + " AADSTS" + strconv.Itoa(n)
	}
	return e.Code
}

// problem is the body of an error. https://learn.microsoft.com/entra/identity-platform/reference-error-codes#handling-error-codes-in-your-application
type problem struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes,omitempty"`
	Timestamp   string `json:"timestamp"`
	Trace       string `json:"trace_id"`
	Correlation string `json:"correlation_id"`
	URI         string `json:"error_uri,omitempty"`
	Sub         string `json:"suberror,omitempty"`
	Claims      string `json:"claims,omitempty"` // JSON within a string
}

// timestampFormat is that of error bodies: "2024-06-20 11:53:16Z".
const timestampFormat = "2006-01-02 15:04:05Z"

// describe completes an error's description with what support asks for.
func (c *call) describe(e *entra.Error) string {
	return fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", e.Description, c.trace, c.correlation, c.now.UTC().Format(timestampFormat))
}

// writeError writes an error as Entra's JSON.
func (s *Server) writeError(w http.ResponseWriter, c *call, e *entra.Error) {
	body := problem{
		Error: e.Code, Description: c.describe(e), Codes: e.AADSTS, Timestamp: c.now.UTC().Format(timestampFormat),
		Trace: c.trace, Correlation: c.correlation, Sub: e.Sub, Claims: e.Claims,
	}
	// The real service leaves error_uri out for these two.
	if n := e.Number(); n != 0 && n != 70003 && n != 700038 {
		body.URI = c.authority.base + "/error?code=" + strconv.Itoa(n)
	}
	w.Header().Set("X-Ms-Clitelem", fmt.Sprintf("1,%d,0,,", e.Number()))
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())))
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Basic") // RFC 6749 §5.2
	}
	writeJSON(w, e.Status, body)
}

// writeHeaders sets what every answer carries.
func (s *Server) writeHeaders(w http.ResponseWriter, c *call) {
	h := w.Header()
	h.Set("Cache-Control", "no-store, no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Ms-Request-Id", c.trace)
	h.Set("X-Ms-Ests-Server", "onbehalf-local")
	h.Set("X-Ms-Clitelem", "1,0,0,,")
	if lower(c.Header.Get("Return-Client-Request-Id")) == "true" {
		h.Set("Client-Request-Id", c.correlation)
	}
}

// writeJSON writes a body that cannot fail to marshal.
func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "cannot marshal the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the caller went away
}
