package graphcalls

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Tool is what a script makes its calls with.
type Tool string

// The tools.
const (
	Curl Tool = "curl"
	Az   Tool = "az"
)

// Functions of scripts.
var (
	//go:embed script_common.sh
	commonFunctions string
	//go:embed script_curl.sh
	curlFunctions string
	//go:embed script_az.sh
	azFunctions string
)

// Functions are those that [Script.Call] needs. The script has to set GRAPH, RESOURCE and TENANT before them.
func Functions(tool Tool) string {
	if tool == Az {
		return azFunctions + "\n" + commonFunctions
	}
	return curlFunctions + "\n" + commonFunctions
}

// BashAlone are the first lines of a script: another shell would stop in the middle. Bash that was started as "sh" leaves the
// mode in which it knows less.
const BashAlone = `if [ -z "${BASH_VERSION:-}" ]; then echo 'this script is bash: nothing was done; run it with "bash FILE"' >&2; exit 2; fi
set +o posix
`

// Script is bash as it is written. What comes from a tenant is data in it: quote it with [Single] or [Double], and keep it
// in its line with [OneLine].
type Script struct{ out strings.Builder }

// Line writes a line.
func (w *Script) Line(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

// Text writes text as it is.
func (w *Script) Text(s string) { w.out.WriteString(s) }

// String returns the script.
func (w *Script) String() string { return w.out.String() }

// Call writes a call. What it saves is in variables of these names afterwards.
func (w *Script) Call(call Call) error {
	w.Line("\nsay %s", Single(OneLine(Show(call.Do))))
	command := "call " + call.Method + " " + Double(call.Path)
	if call.Body != nil {
		text, err := heredoc(call.Body)
		if err != nil {
			return err
		}
		// Not within $(…), where the bash of macOS (3.2) stumbles over quotes and parentheses of a here-document.
		w.Line("IFS= read -r -d '' body <<JSON || true\n%s\nJSON", text)
		command += ` "$body"`
	}
	switch {
	case call.Asks:
		w.Line("answered=0\nFINAL=1 %s >/dev/null || answered=$?", command)
		w.Line("case $answered in 0 | 2) ;; *) exit 1 ;; esac")
	case len(call.Save) == 0:
		w.Line("%s >/dev/null", command)
	default:
		w.Line("answer=$(%s)", command)
		w.saves(call)
	}
	return nil
}

// saves keeps what later calls need. The id of what was made is asked for by itself, since the answer holds the ids of
// other things, too.
func (w *Script) saves(call Call) {
	saves := slices.Clone(call.Save)
	slices.SortStableFunc(saves, func(a, b Save) int { return strings.Compare(a.Member, b.Member) }) // appId, which others ask by, first
	app := ""
	for _, save := range saves {
		made := save.Member == "id" && call.Method == http.MethodPost
		switch {
		case save.Scope != "":
			w.Line("%s=$(pick_scope %s \"$answer\")", save.As, Single(save.Scope))
		case made && call.Path == "/applications":
			w.Line("%s=$(id_of applications \"$%s\")", save.As, app)
		case made:
			members, _ := call.Body.(map[string]any)
			appID, _ := members["appId"].(string)
			w.Line("%s=$(id_of servicePrincipals %s)", save.As, Double(appID))
		default:
			w.Line("%s=$(pick %s \"$answer\")", save.As, save.Member)
		}
		if save.Member == "appId" {
			app = save.As
		}
	}
}

// heredoc writes JSON for an unquoted here-document: what the shell would expand is escaped, references are variables.
func heredoc(body any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(body); err != nil {
		return "", fmt.Errorf("script: %w", err)
	}
	text := strings.NewReplacer(`\`, `\\`, "`", "\\`", "$", `\$`).Replace(escapeHidden(strings.TrimSpace(out.String())))
	return regexp.MustCompile(`\\\\u0000([a-z_]+)\\\\u0000`).ReplaceAllString(text, `$${$1}`), nil
}

// escapeHidden escapes, in JSON, what a reader of the script would not see or see elsewhere: JSON has such characters in
// texts alone.
func escapeHidden(text string) string {
	var out strings.Builder
	for _, r := range text {
		if !hidden(r) || r == '\n' {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}

// hidden reports characters that steer a terminal or turn the direction of writing, and others that nobody sees.
func hidden(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// Single quotes a text for the shell.
func Single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Double quotes a text in which references are variables.
func Double(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`).Replace(s)
	return `"` + refs().ReplaceAllString(s, `$${$1}`) + `"`
}

// OneLine keeps a foreign text from leaving its line, and from looking like another.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if hidden(r) {
			return ' '
		}
		return r
	}, s)
}
