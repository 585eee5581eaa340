package searchserver

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/search"
)

// search answers both forms of Search Documents.
func (s *Server) search(w http.ResponseWriter, c *call) error {
	var q *search.Query
	var members []member
	var err error
	if c.Method == http.MethodPost {
		q, members, err = parsePost(c)
	} else {
		q, err = parseGet(c)
	}
	if err != nil {
		return err
	}
	user, err := s.user(c)
	if err != nil {
		return err
	}
	result, err := s.engine.Index(c.index).Search(c.Context(), user, q)
	if err != nil {
		return notFoundForDocs(c, s, err)
	}
	buffer := s.buffer()
	*buffer = s.appendResult((*buffer)[:0], c, q, members, result)
	writeJSON(w, c, http.StatusOK, *buffer)
	s.release(buffer)
	return nil
}

// maxKeptBuffer bounds a buffer that is used again; larger pages are rare.
const maxKeptBuffer = 1 << 20

func (s *Server) buffer() *[]byte {
	if kept, ok := s.buffers.Get().(*[]byte); ok {
		return kept
	}
	return new([]byte)
}

// release gives a buffer back that was written out: net/http keeps nothing of it.
func (s *Server) release(buffer *[]byte) {
	if cap(*buffer) <= maxKeptBuffer {
		s.buffers.Put(buffer)
	}
}

// appendResult writes the page in the service's order of members.
func (s *Server) appendResult(out []byte, c *call, q *search.Query, members []member, r *search.Result) []byte {
	size := 1 << 10
	for i := range r.Hits {
		size += len(r.Hits[i].Document) + 64
	}
	out = append(slices.Grow(out, size), '{')
	if c.minimal {
		out = appendString(append(out, `"@odata.context":`...), s.base(c)+"/indexes('"+c.index+"')/$metadata#docs(*)")
		out = append(out, ',')
	}
	if r.Count != nil {
		out = strconv.AppendInt(append(out, `"@odata.count":`...), *r.Count, 10)
		out = append(out, ',')
	}
	if r.Coverage != nil {
		out = appendDouble(append(out, `"@search.coverage":`...), *r.Coverage, 64)
		out = append(out, ',')
	}
	if len(q.Facets) > 0 {
		out = appendFacets(append(out, `"@search.facets":`...), q.Facets, r.Facets)
		out = append(out, ',')
	}
	if r.Next != nil && c.Method == http.MethodPost {
		out = appendNextParameters(append(out, `"@search.nextPageParameters":`...), members, r.Next)
		out = append(out, ',')
	}
	out = append(out, `"value":[`...)
	for i := range r.Hits {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendHit(out, &r.Hits[i], q.Highlight)
	}
	out = append(out, ']')
	if r.Next != nil {
		out = appendString(append(out, `,"@odata.nextLink":`...), s.nextLink(c, r.Next))
	}
	return append(out, '}')
}

func appendHit(out []byte, hit *search.Hit, highlight []string) []byte {
	out = appendDouble(append(out, `{"@search.score":`...), hit.Score, 32)
	if len(hit.Highlights) > 0 {
		out = appendByField(append(out, `,"@search.highlights":`...), highlight, "-", func(out []byte, field string) ([]byte, bool) {
			fragments, ok := hit.Highlights[field]
			if !ok {
				return out, false
			}
			out = append(appendString(out, field), ":["...)
			for i, fragment := range fragments {
				if i > 0 {
					out = append(out, ',')
				}
				out = appendString(out, fragment)
			}
			return append(out, ']'), true
		})
	}
	if len(hit.Document) > len("{}") {
		out = append(out, ',')
		return append(out, hit.Document[1:]...)
	}
	return append(out, '}')
}

// appendByField writes an object with a member for each field that was asked for ("field,count:3", "field-3"), once,
// in the order in which it was asked.
func appendByField(out []byte, asked []string, separators string, write func([]byte, string) ([]byte, bool)) []byte {
	out = append(out, '{')
	var seen []string
	for _, field := range asked {
		if i := strings.IndexAny(field, separators); i >= 0 {
			field = field[:i]
		}
		field = strings.TrimSpace(field)
		if slices.Contains(seen, field) {
			continue
		}
		before := len(out)
		if len(seen) > 0 {
			out = append(out, ',')
		}
		var wrote bool
		if out, wrote = write(out, field); !wrote {
			out = out[:before]
			continue
		}
		seen = append(seen, field)
	}
	return append(out, '}')
}

func appendFacets(out []byte, asked []string, facets map[string][]search.Facet) []byte {
	return appendByField(out, asked, ",", func(out []byte, field string) ([]byte, bool) {
		buckets, ok := facets[field]
		if !ok {
			return out, false
		}
		out = append(appendString(out, field), ":["...)
		for i, bucket := range buckets {
			if i > 0 {
				out = append(out, ',')
			}
			out = strconv.AppendInt(append(out, `{"count":`...), bucket.Count, 10)
			for _, part := range []struct {
				name  string
				value []byte
			}{{`,"value":`, bucket.Value}, {`,"from":`, bucket.From}, {`,"to":`, bucket.To}} {
				if len(part.value) > 0 {
					out = append(append(out, part.name...), part.value...)
				}
			}
			out = append(out, '}')
		}
		return append(out, ']'), true
	})
}

// appendNextParameters repeats the request with the next page's position.
func appendNextParameters(out []byte, members []member, next *search.Query) []byte {
	out = append(out, '{')
	for _, m := range members {
		if m.name == "skip" || m.name == "top" || string(m.value) == "null" {
			continue
		}
		out = append(append(appendString(out, m.name), ':'), m.value...)
		out = append(out, ',')
	}
	if next.Top != nil {
		out = strconv.AppendInt(append(out, `"top":`...), int64(*next.Top), 10)
		out = append(out, ',')
	}
	out = strconv.AppendInt(append(out, `"skip":`...), int64(next.Skip), 10)
	return append(out, '}')
}

func (s *Server) nextLink(c *call, next *search.Query) string {
	path := s.base(c) + "/indexes('" + c.index + "')/docs"
	if c.Method == http.MethodPost {
		return path + "/search.post.search?api-version=" + c.query.Get("api-version")
	}
	return path + "?" + continuation(c.query, next)
}

// appendDouble writes a number as the service does: 1.0, 3.8240385, and "NaN" or "INF" in quotes.
func appendDouble(out []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(out, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(out, `"INF"`...)
	case math.IsInf(f, -1):
		return append(out, `"-INF"`...)
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return append(strconv.AppendFloat(out, f, 'f', 1, bits), ""...)
	case math.Abs(f) < 1e-6 || math.Abs(f) >= 1e21:
		return strconv.AppendFloat(out, f, 'E', -1, bits)
	default:
		return strconv.AppendFloat(out, f, 'f', -1, bits)
	}
}
