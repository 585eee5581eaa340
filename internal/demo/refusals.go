package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
)

// attempt is something that must be refused.
type attempt struct {
	name string
	try  func(ctx context.Context) (refused bool, answer string, err error)
}

// refusals tries what must be refused and returns how much of it was.
func (d *demo) refusals(ctx context.Context) (refused, tried int, err error) {
	token, err := d.tokenFor(ctx, d.people[0].short, d.scope.String())
	if err != nil {
		return 0, 0, err
	}
	attempts := []attempt{
		{"no token", func(ctx context.Context) (bool, string, error) { return d.present(ctx, "", "where to sign in") }},
		{"Graph token", d.graphToken},
		{"one byte changed", func(ctx context.Context) (bool, string, error) { return d.present(ctx, changed(token), "signature") }},
		{"app without a person", d.appOnly},
		{"MCP token sent to Search", func(ctx context.Context) (bool, string, error) { return d.wrongService(ctx, token) }},
		{"erin, disabled", d.disabled},
	}
	d.out.refusalsBegin()
	for _, a := range attempts {
		ok, answer, err := a.try(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", a.name, err)
		}
		if ok {
			refused++
		}
		d.out.refusal(ok, a.name, answer)
	}
	return refused, len(attempts), nil
}

// tokenFor signs a person in for a scope and returns the bare token.
func (d *demo) tokenFor(ctx context.Context, user, scope string) (string, error) {
	parsed, err := entra.ParseScope(scope)
	if err != nil {
		return "", err
	}
	var code string
	client, err := d.signInAs(user, &code)
	if err != nil {
		return "", err
	}
	token, err := client.Token(ctx, signin.Request{Server: d.mcpURL.String(), Scopes: []entra.Scope{parsed}})
	if err != nil {
		return "", err
	}
	return token.Value.Reveal(), nil
}

// challengeDescription finds what a WWW-Authenticate header says in words.
var challengeDescription = regexp.MustCompile(`error_description="([^"]*)"`)

// present sends a token to the MCP server. It counts as refused when the answer is 401 and says where to sign in, and
// its words name the reason.
func (d *demo) present(ctx context.Context, token, reason string) (refused bool, answer string, err error) {
	body := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.mcpURL.String(), body)
	if err != nil {
		return false, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", "2025-11-25")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return false, "", err
	}
	defer resp.Body.Close()
	challenge := resp.Header.Get("WWW-Authenticate")
	answer = strconv.Itoa(resp.StatusCode)
	words := reason
	if match := challengeDescription.FindStringSubmatch(challenge); match != nil {
		words = match[1]
	}
	if strings.Contains(challenge, "resource_metadata=") {
		answer += ", " + words
	}
	named := token == "" || strings.Contains(strings.ToLower(words), strings.ToLower(reason))
	return resp.StatusCode == http.StatusUnauthorized && strings.Contains(challenge, "resource_metadata=") && named, answer, nil
}

// graphToken is a perfectly good token of the same person for another API.
func (d *demo) graphToken(ctx context.Context) (bool, string, error) {
	token, err := d.tokenFor(ctx, d.people[0].short, "https://graph.microsoft.com/User.Read")
	if err != nil {
		return false, "", err
	}
	return d.present(ctx, token, "not for this server")
}

// changed flips one bit of the signature.
func changed(token string) string {
	cut := strings.LastIndexByte(token, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(token[cut:])
	if err != nil || len(signature) == 0 {
		return token
	}
	signature[len(signature)/2] ^= 1
	return token[:cut] + base64.RawURLEncoding.EncodeToString(signature)
}

// appOnly is the API's own registration, without a person, asking for a token for itself.
func (d *demo) appOnly(ctx context.Context) (bool, string, error) {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {d.settings["API_CLIENT_ID"]}, "client_secret": {d.settings["CLIENT_SECRET"]},
		"scope": {d.settings["API_APP_ID_URI"] + "/.default"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.local.EntraURL+"/"+d.settings["TENANT_ID"]+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return false, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := d.client.Do(req)
	if err != nil {
		return false, "", err
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken identity.Secret `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return false, "", err
	}
	if answer.AccessToken.IsZero() {
		return false, "", fmt.Errorf("no token for the application: HTTP %d", resp.StatusCode)
	}
	return d.present(ctx, answer.AccessToken.Reveal(), "app")
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// wrongService sends the token for the MCP server to the search service, as a server does that passes on what it got.
func (d *demo) wrongService(ctx context.Context, token string) (bool, string, error) {
	address := d.settings["AZURE_SEARCH_ENDPOINT"] + "/indexes/" + d.settings["AZURE_SEARCH_INDEX"] + "/docs/search?api-version=2025-11-01-preview"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"search":"*","select":"id"}`))
	if err != nil {
		return false, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("api-key", d.settings["AZURE_SEARCH_KEY"])
	req.Header.Set("x-ms-query-source-authorization", token)
	resp, err := d.client.Do(req)
	if err != nil {
		return false, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return false, "", err
	}
	var failure struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(text, &failure) // an answer of another shape has no message
	refused := resp.StatusCode >= http.StatusBadRequest && resp.StatusCode < http.StatusInternalServerError &&
		strings.Contains(strings.ToLower(failure.Error.Message), "audience")
	return refused, fmt.Sprintf("%d, %s", resp.StatusCode, failure.Error.Message), nil
}

// disabled is somebody whose account was closed.
func (d *demo) disabled(ctx context.Context) (bool, string, error) {
	_, err := d.tokenFor(ctx, "erin", d.scope.String())
	if err == nil {
		return false, "a token", nil
	}
	refusal, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return false, "", err
	}
	return slices.Contains(refusal.AADSTS, 50057), fmt.Sprintf("AADSTS%d", refusal.Number()), nil
}
