package searchengine

import "github.com/onbehalf/onbehalf/search/searchengine/internal/odata"

// normalized returns a filter whose strings are normalized as the fields are that they are compared with.
//
// https://learn.microsoft.com/azure/search/search-normalizers
func (l *layout) normalized(e odata.Expr) odata.Expr {
	if len(l.normalizers) == 0 {
		return e
	}
	switch e := e.(type) {
	case *odata.And:
		return &odata.And{Of: l.allNormalized(e.Of)}
	case *odata.Or:
		return &odata.Or{Of: l.allNormalized(e.Of)}
	case *odata.Not:
		return &odata.Not{Of: l.normalized(e.Of)}
	case *odata.Lambda:
		out := *e
		if e.Body != nil {
			out.Body = l.normalized(e.Body)
		}
		return &out
	case *odata.Compare:
		n := l.normalizers[e.Path.Name]
		if n == nil || e.Value.Kind != odata.String {
			return e
		}
		out := *e
		out.Value.String = n.Normalize(e.Value.String)
		return &out
	case *odata.In:
		n := l.normalizers[e.Path.Name]
		if n == nil {
			return e
		}
		out := &odata.In{Path: e.Path, Values: make([]string, len(e.Values))}
		for i, v := range e.Values {
			out.Values[i] = n.Normalize(v)
		}
		return out
	default:
		return e
	}
}

func (l *layout) allNormalized(of []odata.Expr) []odata.Expr {
	out := make([]odata.Expr, len(of))
	for i := range of {
		out[i] = l.normalized(of[i])
	}
	return out
}
