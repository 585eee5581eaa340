package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/internal/local"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/internal/tools"
)

// screen prints what the demonstration does. Names that come from files are printed without control characters.
type screen struct{ w io.Writer }

func newScreen(w io.Writer) *screen {
	if w == nil {
		w = io.Discard
	}
	return &screen{w}
}

func (s *screen) printf(format string, args ...any) { fmt.Fprintf(s.w, format, args...) }

// tableLimit is up to how many documents the table of permissions is printed.
const tableLimit = 12

// opening prints the addresses and, of a few documents, who may read which.
func (s *screen) opening(d *demo) {
	s.printf("onbehalf demo: all on this machine, no Azure. Tenant %s\n", d.settings["TENANT_DOMAIN"])
	s.printf("  Entra %s   Search %s\n  MCP   %s\n\n", d.local.EntraURL, d.local.SearchURL, d.mcpURL)
	documents := d.config.Documents
	if len(documents) > tableLimit {
		s.printf("%d documents, each with the people and groups who may read it.\n\n", len(documents))
		return
	}
	s.printf("%-26s", "The documents' ACLs:")
	for i := range d.people {
		s.printf(" %-6s", clean(d.people[i].short))
	}
	s.printf("\n")
	for i := range documents {
		document := &documents[i]
		s.printf("  %-24s", clean(title(document.ID, document.Name)))
		for j := range d.people {
			mark := " -"
			if document.Visible(d.people[j].Oid, d.people[j].Groups) {
				mark = "yes"
			}
			s.printf(" %-6s", mark)
		}
		s.printf(" %s\n", d.readers(document))
	}
	s.printf("\n")
}

// readers says in words who may read a document.
func (d *demo) readers(document *sample.Document) string {
	for _, list := range [][]string{document.Oid, document.Group} {
		if slices.Contains(list, sample.Everyone) {
			return "everyone"
		}
	}
	var words []string
	for _, id := range document.Oid {
		if id != sample.Nobody {
			words = append(words, "user "+d.local.NameOf(id))
		}
	}
	for _, id := range document.Group {
		if id != sample.Nobody {
			words = append(words, "group "+d.local.NameOf(id))
		}
	}
	if len(words) == 0 {
		return "nobody"
	}
	return strings.Join(words, ", ")
}

// title names a document by id and name, once where they are the same.
func title(id, name string) string {
	if id == name {
		return name
	}
	return id + " " + name
}

// shownDocuments is how many of a person's documents are named.
const shownDocuments = 5

// person prints one person's act; the first one's in full.
func (s *screen) person(p *person, ss *session, toolNames []string, out tools.DocumentsOutput, hops []chain.Hop, id string, r report, full bool) {
	names := make([]string, 0, shownDocuments)
	for _, document := range out.Documents[:min(shownDocuments, len(out.Documents))] {
		names = append(names, clean(title(document.ID, document.Name)))
	}
	found := strings.Join(names, ", ")
	if rest := out.Count - int64(len(names)); rest > 0 {
		found += fmt.Sprintf(" and %d more", rest)
	}
	if !full {
		s.printf("%-6s found: %s\n", clean(p.short), found)
	} else {
		s.printf("%-6s device code %s, approved by the demo\n", clean(p.short), ss.userCode)
		s.printf("       tools: %s\n       found: %s\n", strings.Join(toolNames, ", "), found)
		s.chain(p, ss, hops, id)
	}
	s.differences(r)
}

func (s *screen) differences(r report) {
	if len(r.missing) > 0 {
		s.printf("  WRONG, may read but was not shown: %s\n", clean(strings.Join(r.missing, ", ")))
	}
	if len(r.extra) > 0 {
		s.printf("  WRONG, was shown but may not read: %s\n", clean(strings.Join(r.extra, ", ")))
	}
	if r.count != int64(r.expected) {
		s.printf("  WRONG, counted %d documents, the permissions allow %d\n", r.count, r.expected)
	}
}

// chain prints the hops of a call, from the sign-in on.
func (s *screen) chain(p *person, ss *session, hops []chain.Hop, id string) {
	s.printf("  chain %s\n", id)
	s.hop("sign-in", "Entra", "as "+p.short+", aud "+brief(ss.audience)+", scp execute", ss.signedIn)
	for i := range hops {
		hop := &hops[i]
		switch hop.Station {
		case chain.Verify:
			s.hop("verify", "MCP", "oid "+brief(hop.Subject)+", aud "+brief(hop.Audience)+", "+checks(hop), hop.Took)
		case chain.Exchange:
			s.hop("exchange", "Entra", "as "+p.short+", aud "+brief(hop.Audience)+decision(hop), hop.Took)
		case chain.Search:
			s.hop("search", "Search", fmt.Sprintf("as %s, %d documents", p.short, hop.Count)+decision(hop), hop.Took)
		case chain.SignIn, chain.Tool, chain.Graph:
		}
	}
}

// checks says what was verified; a token that was seen within the last minute is not verified anew.
func checks(hop *chain.Hop) string {
	if hop.Decision == chain.Cached {
		return "checked a moment ago"
	}
	return strings.Join(hop.Checks, " ")
}

// brief shortens an id or URL so that a line fits the screen.
func brief(audience string) string {
	audience = strings.TrimPrefix(audience, "https://")
	if len(audience) <= briefLength {
		return audience
	}
	return audience[:8] + "…"
}

// briefLength is how much of an audience a line has room for.
const briefLength = 24

func decision(hop *chain.Hop) string {
	if hop.Decision == chain.Allowed {
		return ""
	}
	return ", " + string(hop.Decision)
}

func (s *screen) hop(station, where, what string, took time.Duration) {
	s.printf("    %-8s %-6s %-50s %8s\n", station, where, clean(what), milliseconds(took))
}

func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func (s *screen) refusalsBegin() { s.printf("\nMust be refused:\n") }

func (s *screen) refusal(ok bool, name, answer string) {
	mark := "ok"
	if !ok {
		mark = "NOT"
	}
	s.printf("  %-3s %-25s %s\n", mark, name, fold(clean(answer), answerColumn))
}

// answerColumn is where the answers to what must be refused begin.
const answerColumn = 32

// fold breaks a sentence that begins at a column into lines that fit a screen of 80.
func fold(text string, column int) string {
	const width = 80
	var out strings.Builder
	at := column
	for word := range strings.FieldsSeq(text) {
		length := utf8.RuneCountInString(word)
		switch {
		case at == column:
		case at+1+length > width:
			out.WriteString("\n" + strings.Repeat(" ", column))
			at = column
		default:
			out.WriteByte(' ')
			at++
		}
		out.WriteString(word)
		at += length
	}
	return out.String()
}

func (s *screen) verdict(right, asked, refused, tried int, took time.Duration, once bool) {
	word := "PASS"
	if right < asked || refused < tried {
		word = "FAIL"
	}
	s.printf("\n%s  %d/%d decisions, %d/%d refusals, %.1f s\n", word, right, asked, refused, tried, took.Seconds())
	if once {
		s.printf("next: onbehalf demo\n")
	}
}

// invite says what to try while the demonstration goes on serving.
func (d *demo) invite() {
	file := d.config.EnvFile
	if d.web != nil {
		names := make([]string, len(d.people))
		for i := range d.people {
			names[i] = clean(d.people[i].short)
		}
		d.out.printf(`
Open %s and sign in as one of %s; in a
private window as another. Ask both the same, and see the difference.
Your browser will warn of %s, since its certificate is new:
go on there ("Advanced", then "Proceed"). One click signs in; the password is
%s for everyone.
`, d.web.url, strings.Join(names, ", "), d.local.EntraURL, local.Password)
	}
	d.out.printf(`
Serving until you press Ctrl-C. The settings are in a file: in another terminal,
  onbehalf call whoami --env %s
  onbehalf call get_documents query=roadmap --chain --env %s
  onbehalf accounts --env %s
`, file, file, file)
}

// clean keeps a terminal from being told what to do by a name in a file.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}

func (s *screen) loaded(documents int, took time.Duration) {
	s.printf("%d documents loaded in %.1f s\n", documents, took.Seconds())
}
