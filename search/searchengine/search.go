package searchengine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/bitset"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/inverted"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/lucene"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

// Limits of the service on one search.
//
// https://learn.microsoft.com/azure/search/search-limits-quotas-capacity#api-request-limits
const (
	defaultTop  = 50
	maxTop      = 1000 // of one page
	maxSkip     = 100_000
	maxCoverage = 100
)

// plan is a query that was checked against the definition: nothing in it can be wrong any more.
type plan struct {
	query  *search.Query
	text   lucene.Query // *lucene.All for every document
	lookIn []int        // searchable fields that the text is looked for in
	filter odata.Expr   // nil for none
	order  []odata.Order
	facets []facet

	highlights highlighter

	fill projection
	top  int // of this page
	next *search.Query
}

// search answers one query: who may see what, then the filter, then the text, each on what the one before left. Count,
// facets and highlights see nothing else.
func (x *index) search(ctx context.Context, u search.User, q *search.Query) (*search.Result, error) {
	limited, cancel := context.WithTimeout(ctx, x.engine.config.QueryTimeout)
	defer cancel()
	r, err := x.searchUntil(limited, u, q)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, &search.Error{Status: http.StatusServiceUnavailable, Message: fmt.Sprintf(
			"The query took longer than %s. Ask for less, or more precisely.", x.engine.config.QueryTimeout)}
	}
	return r, err
}

func (x *index) searchUntil(ctx context.Context, u search.User, q *search.Query) (*search.Result, error) {
	who, err := x.engine.principalsOf(u)
	if err != nil {
		return nil, err
	}
	if q == nil {
		q = &search.Query{}
	}
	select {
	case x.engine.slots <- struct{}{}:
		defer func() { <-x.engine.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	p, err := x.state.plan(q)
	if err != nil {
		return nil, err
	}
	run := newRun(ctx, x.state, p)
	run.fuzzy = &x.engine.fuzzy
	defer run.release()
	x.state.visibleTo(who, x.engine.visible, run.within)
	return run.answer()
}

// plan checks a query.
func (s *state) plan(q *search.Query) (*plan, error) {
	p := &plan{query: q}
	if err := p.setPage(q); err != nil {
		return nil, err
	}
	var err error
	if p.text, p.lookIn, err = s.planText(q); err != nil {
		return nil, err
	}
	if p.filter, err = odata.Filter(q.Filter, s.schema); err != nil {
		return nil, err
	}
	p.filter = s.normalized(p.filter)
	if len(q.OrderBy) > 0 {
		if p.order, err = odata.OrderBy(q.OrderBy, s.schema); err != nil {
			return nil, err
		}
	}
	if p.facets, err = s.planFacets(q.Facets); err != nil {
		return nil, err
	}
	if p.highlights, err = s.planHighlights(q); err != nil {
		return nil, err
	}
	p.fill, err = s.showing(q.Select)
	return p, err
}

// setPage applies the limits of a page, and works out what asks for the next one: without a top, pages of 50 follow one
// another to the end; a top above 1,000 is handed out in pages of 1,000.
func (p *plan) setPage(q *search.Query) error {
	if q.Skip < 0 || q.Skip > maxSkip {
		return badParameter("$skip", "Value must be between 0 and %d.", maxSkip)
	}
	next := *q
	p.top = defaultTop
	switch {
	case q.Top == nil:
		p.next = &next
	case *q.Top < 0:
		return badParameter("$top", "Value must be greater than or equal to 0.")
	case *q.Top > maxTop:
		rest := *q.Top - maxTop
		p.top, p.next, next.Top = maxTop, &next, &rest
	default:
		p.top = *q.Top
	}
	next.Skip = q.Skip + p.top
	switch {
	case q.ScoringStatistics != "" && q.ScoringStatistics != "local" && q.ScoringStatistics != "global":
		return badParameter("scoringStatistics", "The value '%s' is not one of 'local' and 'global'.", q.ScoringStatistics)
	case strings.HasPrefix(q.SessionID, "_"):
		return badParameter("sessionId", "The value must not begin with an underscore.")
	}
	if q.MinimumCoverage != nil && (*q.MinimumCoverage < 0 || *q.MinimumCoverage > maxCoverage) {
		return badParameter("minimumCoverage", "Value must be between 0 and %d.", maxCoverage)
	}
	return nil
}

// run is one query being answered.
type run struct {
	*state
	*plan
	ctx     context.Context //nolint:containedctx // a run lives as long as its call
	within  bitset.Set      // what is left: visible, then filtered, then matched
	scored  bool            // whether scores mean anything; otherwise each is 1
	scores  []float64       // by document; zero beyond within, unless spilled
	spilled bool
	fuzzy   *inverted.Fuzzy
	scratch *scratch
	normsOf []*[256]float32 // by searchable field

	highlighted int // bytes of highlights so far
	grams       int // tokens that analyzers may have made by grams so far
}

// answer works the query off. within holds what the caller may see.
func (r *run) answer() (*search.Result, error) {
	if r.filter != nil {
		matched, err := r.evaluate(r.filter, r.table, r.within)
		if err != nil {
			return nil, err
		}
		copy(r.within, matched)
	}
	if err := r.match(); err != nil {
		return nil, err
	}
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	result := &search.Result{}
	var err error
	if result.Facets, err = r.facets(); err != nil {
		return nil, err
	}
	count := r.within.Count()
	if r.query.Count {
		n := int64(count)
		result.Count = &n
	}
	if r.query.MinimumCoverage != nil {
		full := float64(maxCoverage)
		result.Coverage = &full
	}
	if err = r.markTerms(); err != nil {
		return nil, err
	}
	if result.Hits, err = r.hits(r.page(count)); err != nil {
		return nil, err
	}
	if r.next != nil && count > r.next.Skip {
		if r.next.Skip > maxSkip {
			return result, nil
		}
		result.Next = r.next
	}
	return result, nil
}

// hits reads the documents of the page. They are put together in the scratch memory first, so that all of them lie in one
// piece of memory of the right size.
func (r *run) hits(docs []uint32) ([]search.Hit, error) {
	hits := make([]search.Hit, len(docs))
	sc := r.scratch
	sc.out, sc.ends = sc.out[:0], sc.ends[:0]
	for i, doc := range docs {
		if err := r.hit(doc, &hits[i]); err != nil {
			return nil, err
		}
		sc.ends = append(sc.ends, len(sc.out))
	}
	from, page := 0, append([]byte(nil), sc.out...)
	for i, end := range sc.ends {
		hits[i].Document = page[from:end:end]
		from = end
	}
	return hits, nil
}

// hit reads one document of the page, and appends what is shown of it to the scratch memory.
func (r *run) hit(doc uint32, h *search.Hit) (err error) {
	h.Score = 1
	if r.scored {
		h.Score = float64(float32(r.scores[doc]))
	}
	sc := r.scratch
	if err = r.stored(doc, &sc.record); err != nil {
		return err
	}
	if h.Highlights, err = r.highlight(sc.record.parts); err != nil {
		return err
	}
	sc.out, err = r.fill.append(sc.out, sc.record.parts)
	return err
}

// lookup answers for one key. A document that the caller may not see is as absent as one that does not exist.
func (x *index) lookup(ctx context.Context, u search.User, key string, fields []string) (search.Document, error) {
	who, err := x.engine.principalsOf(u)
	if err != nil {
		return nil, err
	}
	if err = ctx.Err(); err != nil {
		return nil, err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := x.state
	fill, err := s.showing(fields)
	if err != nil {
		return nil, err
	}
	doc, ok := s.find(key)
	if !ok || !s.mayView(who, doc) {
		return nil, &search.Error{Status: http.StatusNotFound, Message: fmt.Sprintf("No document with the key '%s' was found.", key)}
	}
	var r record
	if err = s.stored(doc, &r); err != nil {
		return nil, err
	}
	return fill.append(nil, r.parts)
}
