package explain

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
)

// Finding is one error that a text tells of.
type Finding struct {
	AADSTS int    `json:"aadsts,omitempty"`
	Name   string `json:"error,omitempty"` // where there is no code: "invalid_grant", "x509", "HTTP 401"
	Known  bool   `json:"known"`           // false: the catalogue lacks the code, and what is said goes by the error's name
	Kind   string `json:"kind,omitempty"`  // as package entra names it
	Seen   string `json:"seen,omitempty"`  // how the message begins, for recognition
	Cause  string `json:"cause"`
	Who    string `json:"who,omitempty"` // can mend it
	Fix    string `json:"fix"`
}

// Errors is what a text tells.
type Errors struct {
	Findings    []Finding `json:"findings"`
	Challenge   string    `json:"challenge,omitempty"`   // what a server's WWW-Authenticate says, in words
	Claims      string    `json:"claims,omitempty"`      // a claims challenge: its JSON
	Correlation string    `json:"correlation,omitempty"` // ids to hand to an administrator or to Microsoft
	Trace       string    `json:"trace,omitempty"`
	Timestamp   string    `json:"timestamp,omitempty"`
}

// Known reports whether anything was found that the catalogue knows.
func (e *Errors) Known() bool {
	return slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.Known })
}

// maxFindings bounds what one text is taken to tell.
const maxFindings = 8

var (
	listedCodes  = regexp.MustCompile(`error_codes\W{1,12}([0-9][0-9, ]{3,80})`)
	linkedCode   = regexp.MustCompile(`error\?code=([0-9]{4,9})`)
	oauthName    = regexp.MustCompile(`\b(invalid_(?:request|client|grant|scope|resource|target|token|tenant|instance)|unauthorized_client|unsupported_grant_type|access_denied|server_error|temporarily_unavailable|(?:interaction|login|consent)_required|insufficient_(?:scope|claims)|authorization_(?:pending|declined)|expired_token|bad_verification_code)\b`)
	httpStatus   = regexp.MustCompile(`(?i)(?:HTTP/[0-9.]+ |\bHTTP |\bstatus(?:[ _]?code)?["']?(?: was)?[ :=]+)([1-5][0-9]{2})\b`)
	correlations = regexp.MustCompile(`(?i)correlation[ _-]?id\W{1,6}([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})`)
	traces       = regexp.MustCompile(`(?i)trace[ _-]?id\W{1,6}([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})`)
	timestamps   = regexp.MustCompile(`(?i)timestamp\W{1,6}([0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:]{8}Z?)`)
	claimsStart  = regexp.MustCompile(`claims["']?\s*[:=]\s*["']?`)
	base64Text   = regexp.MustCompile(`^[A-Za-z0-9+/_-]{16,}={0,2}`)
	bearerPart   = regexp.MustCompile(`(?i)\bBearer\s+[a-z_]+\s*=[^\n]*`)
	quotedParam  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
)

// Error explains a text: an answer of Entra, a page's words, an HTTP answer with its headers, a line of a log, the
// message of a library. Texts longer than [MaxText] are cut.
func Error(text string) *Errors {
	if len(text) > MaxText {
		text = strings.ToValidUTF8(text[:MaxText], "")
	}
	// An answer within a log line is quoted once more.
	text = strings.NewReplacer(`\"`, `"`, `\r\n`, "\n", `\n`, "\n").Replace(text)
	e := &Errors{
		Claims: claimsIn(text), Correlation: first(correlations, text), Trace: first(traces, text), Timestamp: first(timestamps, text),
	}
	names := uniqueNames(text)
	for _, code := range codesIn(text) {
		e.Findings = append(e.Findings, byCode(code, names, e.Claims))
	}
	if !e.Known() { // a code says it better than what follows from it
		e.Findings = append(e.Findings, symptomsIn(text)...)
	}
	e.Challenge = challengeIn(text)
	if len(e.Findings) == 0 {
		for _, name := range names {
			e.Findings = append(e.Findings, byName(name, e.Claims))
		}
	}
	if len(e.Findings) == 0 {
		e.Findings = append(e.Findings, byStatus(text)...)
	}
	e.Findings = e.Findings[:min(len(e.Findings), maxFindings)]
	return e
}

// codesIn returns the AADSTS codes of a text, each once, in order.
func codesIn(text string) []int {
	codes := entra.CodesIn(text)
	for _, match := range slices.Concat(listedCodes.FindAllStringSubmatch(text, maxFindings), linkedCode.FindAllStringSubmatch(text, maxFindings)) {
		for word := range strings.FieldsFuncSeq(match[1], func(r rune) bool { return r < '0' || r > '9' }) {
			if code, err := strconv.Atoi(word); err == nil {
				codes = append(codes, code)
			}
		}
	}
	return unique(codes)
}

func uniqueNames(text string) []string { return unique(oauthName.FindAllString(text, maxFindings)) }

func unique[T comparable](all []T) []T {
	var once []T
	for _, one := range all {
		if !slices.Contains(once, one) {
			once = append(once, one)
		}
	}
	return once
}

func first(pattern *regexp.Regexp, text string) string {
	if match := pattern.FindStringSubmatch(text); match != nil {
		return match[1]
	}
	return ""
}

func byCode(code int, names []string, claims string) Finding {
	advice, known := entra.AdviceFor(code)
	if !known {
		unknown := &entra.Error{AADSTS: []int{code}, Claims: claims}
		if len(names) > 0 {
			unknown.Code = names[0]
		}
		advice = unknown.Advice()
	}
	f := Finding{
		AADSTS: code, Known: known, Kind: advice.Kind.String(), Seen: entra.SeenAs(code), Cause: advice.Cause, Who: advice.Who, Fix: advice.Fix,
	}
	if !known {
		f.Fix += " The catalogue lacks this code: https://login.microsoftonline.com/error?code=" + strconv.Itoa(code) + " shows Microsoft's words."
	}
	return f
}

// byName is for an error without a code. Names of RFC 6750 are a server's, the others Entra's.
func byName(name, claims string) Finding {
	for _, f := range serverNames() {
		if f.Name == name {
			return f
		}
	}
	advice := (&entra.Error{Code: name, Claims: claims}).Advice()
	return Finding{Name: name, Known: true, Kind: advice.Kind.String(), Cause: advice.Cause, Who: advice.Who, Fix: advice.Fix}
}

// byStatus is the last resort: an HTTP answer that gives no reason.
func byStatus(text string) []Finding {
	status := 0
	for _, match := range httpStatus.FindAllStringSubmatch(text, 64) { // a chain tells of what went well, too
		if n, err := strconv.Atoi(match[1]); err == nil && n >= http.StatusBadRequest {
			status = n
			break
		}
	}
	f := Finding{Name: "HTTP " + strconv.Itoa(status), Known: true}
	switch {
	case status == http.StatusUnauthorized:
		f.Cause, f.Who, f.Fix = "The server wants a token, or refuses the one that it got, and does not say why.", entra.You,
			"Look at the header WWW-Authenticate of the answer; \"onbehalf doctor --token-file FILE\" explains the token that was sent."
	case status == http.StatusForbidden:
		f.Cause, f.Who, f.Fix = "The server knows who asks and does not allow it.", entra.Operator,
			"Check the permission or the role of who asks; at Azure AI Search also whether the service accepts roles at all (Settings > Keys > Both)."
	case status == http.StatusNotFound:
		f.Cause, f.Who, f.Fix = "There is nothing at this address.", entra.Operator, "Check the URL: an MCP server's ends in /mcp as a rule, an index's name is in AZURE_SEARCH_INDEX."
	case status == http.StatusTooManyRequests:
		f.Cause, f.Who, f.Fix = "The server has had too many requests.", entra.You, "Wait as long as the header Retry-After says, then try again."
	case status >= http.StatusInternalServerError:
		f.Cause, f.Who, f.Fix = "The server failed.", entra.Operator, "Look into its log; a proxy in front of it answers so, too, when the server is down."
	default:
		return nil
	}
	return []Finding{f}
}

// claimsIn returns the JSON of a claims challenge: as Entra's answer holds it, or in base64 as a header does.
func claimsIn(text string) string {
	for _, at := range claimsStart.FindAllStringIndex(text, maxFindings) {
		rest := text[at[1]:]
		if encoded := base64Text.FindString(rest); encoded != "" {
			plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(encoded), "="))
			if err != nil {
				continue
			}
			rest = string(plain)
		}
		var object json.RawMessage
		if strings.HasPrefix(rest, "{") && json.NewDecoder(strings.NewReader(rest)).Decode(&object) == nil {
			return string(object)
		}
	}
	return ""
}

// challengeIn says what the Bearer challenge of a text asks for.
func challengeIn(text string) string {
	part := bearerPart.FindString(text)
	if part == "" {
		return ""
	}
	var says []string
	for _, match := range quotedParam.FindAllStringSubmatch(part, 16) {
		switch name, value := match[1], match[2]; {
		case value == "":
		case name == "error_description":
			says = append(says, "the server says: "+value)
		case name == "scope":
			says = append(says, "it wants a token with "+value)
		case name == "resource_metadata":
			says = append(says, "it describes itself at "+value)
		case name == "authorization_uri":
			says = append(says, "people sign in at "+value)
		}
	}
	return strings.Join(says, "; ")
}

// WriteText writes the explanation for people.
func (e *Errors) WriteText(w io.Writer) {
	for _, f := range e.Findings {
		title := f.Name
		if f.AADSTS != 0 {
			title = "AADSTS" + strconv.Itoa(f.AADSTS)
		}
		if !f.Known {
			title += " (not in the catalogue)"
		}
		fmt.Fprintln(w, strings.TrimSpace(title+"  "+f.Kind))
		row(w, "seen as", f.Seen)
		row(w, "cause", f.Cause)
		row(w, "who", f.Who)
		row(w, "fix", f.Fix)
	}
	if e.Challenge != "" {
		fmt.Fprintf(w, "challenge: %s\n", e.Challenge)
	}
	if e.Claims != "" {
		fmt.Fprintf(w, "claims challenge: %s\n  a client that handles it signs in again with these claims; \"onbehalf call\" does\n", e.Claims)
	}
	var ids []string
	for _, id := range []struct{ name, value string }{{"correlation id ", e.Correlation}, {"trace id ", e.Trace}, {"at ", e.Timestamp}} {
		if id.value != "" {
			ids = append(ids, id.name+id.value)
		}
	}
	if len(ids) > 0 {
		fmt.Fprintf(w, "for an administrator, who finds it in Entra's sign-in logs: %s\n", strings.Join(ids, ", "))
	}
}
