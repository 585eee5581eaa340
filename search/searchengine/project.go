package searchengine

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// projection makes the document that an answer shows out of the stored one: the selected fields that are retrievable, in
// the order of the definition.
type projection []projected

type projected struct {
	slot   int
	prefix string // `"name":`
	absent string // what stands for a document that was stored before the field was added
	field  *schema.Field
	inner  projection // of a complex field that is not shown as it is stored
}

// showing checks and compiles a select; an empty one selects everything.
func (l *layout) showing(selection []string) (projection, error) {
	if len(selection) == 0 {
		return l.whole, nil
	}
	selected, err := odata.Select(selection, l.schema)
	return l.project(selected), err
}

// project compiles a select; nil selects everything.
func (l *layout) project(selected []string) projection {
	var p projection
	for _, f := range l.schema.Fields {
		if item, ok := projectField(f, selected); ok {
			item.slot = l.slotOf[f.Name]
			p = append(p, item)
		}
	}
	return p
}

func projectField(f *schema.Field, selected []string) (projected, bool) {
	item := projected{prefix: `"` + f.Name + `":`, absent: "null", field: f}
	if f.Collection {
		item.absent = "[]"
	}
	whole := selected == nil || slices.Contains(selected, f.Path)
	if f.Type != odata.ComplexType {
		return item, whole && f.Retrievable
	}
	if whole {
		selected = nil
	} else if !slices.ContainsFunc(selected, func(path string) bool { return strings.HasPrefix(path, f.Path+"/") }) {
		return item, false
	}
	for _, inner := range f.Fields {
		if in, ok := projectField(inner, selected); ok {
			item.inner = append(item.inner, in)
		}
	}
	return item, len(item.inner) > 0
}

// append makes the document at the end of out.
func (p projection) append(out []byte, parts [][]byte) ([]byte, error) {
	out = append(out, '{')
	for i := range p {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, p[i].prefix...)
		if p[i].slot >= len(parts) {
			out = append(out, p[i].absent...)
			continue
		}
		part := parts[p[i].slot]
		if p[i].inner == nil {
			out = append(out, part...)
			continue
		}
		var err error
		if out, err = p[i].appendValue(out, part); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func (p *projected) appendValue(out, raw []byte) ([]byte, error) {
	if p.inner == nil || isNull(raw) {
		return append(out, raw...), nil
	}
	if !p.field.Collection {
		return p.appendObject(out, raw)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, errDamaged
	}
	out = append(out, '[')
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = p.appendObject(out, item); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func (p *projected) appendObject(out, raw []byte) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, errDamaged
	}
	out = append(out, '{')
	for i := range p.inner {
		in := &p.inner[i]
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, in.prefix...)
		member, ok := members[in.field.Name]
		if !ok {
			out = append(out, in.absent...)
			continue
		}
		var err error
		if out, err = in.appendValue(out, member); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}
