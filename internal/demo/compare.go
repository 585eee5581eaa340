package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/internal/tools"
)

// wholeSet is up to how many documents a person's whole set is compared; above it the count and as many documents drawn
// at random.
const wholeSet = 1000

// pageSize is how many documents one call asks for.
const pageSize = 50

// report is how a person's documents compare with what their permissions say.
type report struct {
	right, asked int
	missing      []string // allowed by the permissions, not returned
	extra        []string // returned, not allowed
	count        int64    // as the server counts
	expected     int
}

// compare holds what the person sees against the documents' own permissions, document by document.
func (d *demo) compare(ctx context.Context, s *mcp.ClientSession, p *person, first tools.DocumentsOutput) (report, error) {
	documents := d.config.Documents
	r := report{count: first.Count}
	for i := range documents {
		if documents[i].Visible(p.Oid, p.Groups) {
			r.expected++
		}
	}
	if len(documents) <= wholeSet || r.expected <= wholeSet && first.Count <= wholeSet {
		seen, err := everything(ctx, s, first)
		if err != nil {
			return r, err
		}
		r.judge(p, documents, seen)
		return r, nil
	}
	drawn := make([]sample.Document, 0, wholeSet)
	for _, i := range rand.Perm(len(documents))[:wholeSet] { //nolint:gosec // a sample, not a secret
		drawn = append(drawn, documents[i])
	}
	seen := map[string]bool{}
	for chunk := range slices.Chunk(drawn, pageSize) {
		ids := make([]string, len(chunk))
		for i := range chunk {
			ids[i] = chunk[i].ID
		}
		page, _, err := call(ctx, s, tools.DocumentsInput{Filter: fmt.Sprintf("search.in(id, '%s', ',')", strings.Join(ids, ",")), Top: pageSize})
		if err != nil {
			return r, err
		}
		for _, document := range page.Documents {
			seen[document.ID] = true
		}
	}
	r.judge(p, drawn, seen)
	return r, nil
}

// everything pages through all that the person sees.
func everything(ctx context.Context, s *mcp.ClientSession, page tools.DocumentsOutput) (map[string]bool, error) {
	seen := map[string]bool{}
	for {
		for _, document := range page.Documents {
			seen[document.ID] = true
		}
		if len(page.Documents) == 0 || int64(len(seen)) >= page.Count {
			return seen, nil
		}
		var err error
		if page, _, err = call(ctx, s, tools.DocumentsInput{Top: pageSize, Skip: len(seen)}); err != nil {
			return nil, err
		}
	}
}

// judge fills the report in; what was returned and is no document of ours at all is extra, too. A count that differs is
// one wrong decision more.
func (r *report) judge(p *person, documents []sample.Document, seen map[string]bool) {
	known := map[string]bool{}
	for i := range documents {
		document := &documents[i]
		known[document.ID] = true
		allowed := document.Visible(p.Oid, p.Groups)
		r.asked++
		switch {
		case allowed == seen[document.ID]:
			r.right++
		case allowed:
			r.missing = append(r.missing, document.Name)
		default:
			r.extra = append(r.extra, document.Name)
		}
	}
	for id := range seen {
		if !known[id] {
			r.asked++
			r.extra = append(r.extra, id)
		}
	}
	if r.count != int64(r.expected) {
		r.asked++
	}
}
