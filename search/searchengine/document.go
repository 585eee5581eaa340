package searchengine

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/analysis"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/inverted"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/schema"
)

// document is a document made ready for an index: what columns, full-text index and log take of it.
type document struct {
	key    string
	values []column.Value   // by top-level field
	texts  []*inverted.Text // by searchable field
	stored []byte           // see encodeStored

	storedSize int // of what lies in the log
}

// Limits of the service on one document.
//
// https://learn.microsoft.com/azure/search/search-limits-quotas-capacity
const (
	maxKeyLength   = 1024
	maxElements    = 3000   // of all complex collections of a document
	maxPermissions = 1000   // values of a userIds or groupIds field
	maxTermBytes   = 32_766 // of a value that is filterable, sortable or facetable
)

// maxGrams is how many terms the analyzers may make of a document by grams. It is no limit of the service: some 200 MB.
const maxGrams = 4 << 20

// members reads the members of an action's document. The key must be among them.
func (l *layout) members(doc search.Document, action int) (map[string]json.RawMessage, string, error) {
	members, err := splitObject(doc)
	if err != nil {
		return nil, "", invalidRequest("parameters", "Invalid JSON in the document of action %d: %s.", action, err)
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "@search.") })
	var key string
	if raw, ok := members[l.schema.Key.Name]; ok {
		if err := json.Unmarshal(raw, &key); err != nil {
			return nil, "", cannotConvert(raw, "Edm.String")
		}
	}
	if key == "" {
		return nil, "", invalidRequest("actions", "%d: Document key cannot be missing or empty.", action)
	}
	return members, key, checkKey(key)
}

// checkKey applies the rules for document keys.
//
// https://learn.microsoft.com/rest/api/searchservice/naming-rules
func checkKey(key string) error {
	if len(key) > maxKeyLength {
		return &search.Error{Status: http.StatusBadRequest, Code: "InvalidName", Message: fmt.Sprintf(
			"Invalid document key: it has %d characters, more than %d.", len(key), maxKeyLength)}
	}
	legal := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '='
	}
	for i := range len(key) {
		if !legal(key[i]) {
			return &search.Error{Status: http.StatusBadRequest, Code: "InvalidName", Message: "Invalid document key: '" + key +
				"'. Keys can only contain letters, digits, underscore (_), dash (-), or equal sign (=). If the keys in your source data contain other characters, we recommend encoding them with a URL-safe version of Base64 before uploading them to your index."}
		}
	}
	if key[0] == '_' {
		return &search.Error{Status: http.StatusBadRequest, Code: "InvalidName", Message: "Invalid document key: '" + key +
			"'. Keys cannot begin with an underscore (_)."}
	}
	return nil
}

// read checks the members of a document against the schema and makes it ready. An error that matches errRefused is about
// this document alone; any other is about the whole batch.
func (l *layout) read(key string, members map[string]json.RawMessage) (*document, error) {
	r, _ := l.readers.Get().(*reader)
	if r == nil {
		r = &reader{layout: l, builders: make([]inverted.Builder, len(l.searchable))}
	}
	defer l.readers.Put(r)
	r.begin()
	values := make([]column.Value, len(l.schema.Fields))
	parts := make([][]byte, len(l.slots))
	seen := 0
	for i, f := range l.schema.Fields {
		raw, given := members[f.Name]
		if given {
			seen++
		}
		from := len(r.buf)
		var err error
		if values[i], err = r.field(f, raw); err != nil {
			return nil, err
		}
		parts[l.slotOf[f.Name]] = r.buf[from:]
	}
	if seen < len(members) {
		return nil, unknownMember(members, l.schema.Fields)
	}
	// buf may have moved while it grew, which leaves earlier parts as they were.
	stored := encodeStored(parts)
	texts := make([]*inverted.Text, len(r.builders))
	for i := range texts {
		texts[i] = r.builders[i].Build()
	}
	return &document{key: key, values: values, texts: texts, stored: stored, storedSize: len(stored)}, r.refusal
}

func unknownMember(members map[string]json.RawMessage, fields []*schema.Field) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.ContainsFunc(fields, func(f *schema.Field) bool { return f.Name == name }) {
			return invalidRequest("parameters", "The property '%s' does not exist on type 'search.documentFields'. Make sure to only use property names that are defined by the type.", name)
		}
	}
	return nil
}

// reader turns the JSON of one document into values, tokens, and the JSON that is stored: every field in the order of the
// definition, dates in UTC, absent ones null.
type reader struct {
	layout   *layout
	buf      []byte             // stored JSON of the fields so far
	builders []inverted.Builder // by searchable field
	tokenBuf []analysis.Token
	elements int
	grams    int   // terms that analyzers may make by grams
	refusal  error // of this document, though its JSON is right
}

// begin makes the reader ready for the next document; one that failed may have left something behind.
func (r *reader) begin() {
	r.buf, r.elements, r.grams, r.refusal = r.buf[:0], 0, 0, nil
	for i := range r.builders {
		r.builders[i].Build()
	}
}

func (r *reader) field(f *schema.Field, raw []byte) (column.Value, error) {
	if !f.Collection {
		return r.value(f, raw)
	}
	if isNull(raw) {
		r.buf = append(r.buf, "[]"...)
		return column.Value{}, nil
	}
	items, ok := splitArray(raw)
	if !ok {
		return column.Value{}, cannotConvert(raw, "Collection("+f.Type.String()+")")
	}
	r.count(f, len(items))
	list := make([]column.Value, len(items))
	r.buf = append(r.buf, '[')
	for i, item := range items {
		if isNull(item) {
			return column.Value{}, invalidRequest("parameters", "A null value was found in the collection property '%s'. Collections cannot hold null.", f.Path)
		}
		if i > 0 {
			r.buf = append(r.buf, ',')
		}
		var err error
		if list[i], err = r.value(f, item); err != nil {
			return column.Value{}, err
		}
	}
	r.buf = append(r.buf, ']')
	return column.Value{Set: true, List: list}, nil
}

// count applies the limits on collections.
func (r *reader) count(f *schema.Field, items int) {
	if f.Type == odata.ComplexType {
		if r.elements += items; r.elements > maxElements {
			r.refusal = refused("The document has more than %d elements in its complex collections.", maxElements)
		}
	}
	s := r.layout.schema
	if (f == s.UserIDs || f == s.GroupIDs) && items > maxPermissions {
		r.refusal = refused("Field '%s' holds %d values, more than the %d that a permission field may.", f.Path, items, maxPermissions)
	}
}

func (r *reader) value(f *schema.Field, raw []byte) (column.Value, error) {
	if isNull(raw) {
		r.buf = append(r.buf, "null"...)
		return column.Value{}, nil
	}
	switch f.Type {
	case odata.ComplexType:
		return r.complex(f, raw)
	case odata.StringType:
		return r.string(f, raw)
	default:
		v, stored, ok := readScalar(f.Type, raw)
		if !ok {
			return v, cannotConvert(raw, f.Type.String())
		}
		r.buf = append(r.buf, stored...)
		return v, nil
	}
}

func (r *reader) complex(f *schema.Field, raw []byte) (column.Value, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return column.Value{}, cannotConvert(raw, f.Type.String())
	}
	v := column.Value{Set: true, Members: make([]column.Value, len(f.Fields))}
	seen := 0
	r.buf = append(r.buf, '{')
	for i, inner := range f.Fields {
		member, given := members[inner.Name]
		if given {
			seen++
		}
		if i > 0 {
			r.buf = append(r.buf, ',')
		}
		r.buf = append(append(append(r.buf, '"'), inner.Name...), `":`...)
		var err error
		if v.Members[i], err = r.field(inner, member); err != nil {
			return v, err
		}
	}
	r.buf = append(r.buf, '}')
	if seen < len(members) {
		return v, unknownMember(members, f.Fields)
	}
	return v, nil
}

func (r *reader) string(f *schema.Field, raw []byte) (column.Value, error) {
	s, stored, ok := readString(raw)
	if !ok {
		return column.Value{}, cannotConvert(raw, f.Type.String())
	}
	r.buf = append(r.buf, stored...)
	v := column.Value{Set: true, String: s}
	if f.Searchable {
		r.tokens(f, s)
	}
	if f.Columnar() {
		v.String = r.layout.normalize(f, s)
		if len(v.String) > maxTermBytes {
			r.refusal = refused("Field '%s' contains a term that is too large to process. The max length for UTF-8 encoded terms is %d bytes.", f.Path, maxTermBytes)
		}
	}
	return v, nil
}

// tokens analyses a text.
func (r *reader) tokens(f *schema.Field, s string) {
	n := r.layout.searchableOf[f.Path]
	text := &r.builders[n]
	base := text.Next()
	if r.grams += r.layout.searchable[n].ofText.Grams(s); r.grams > maxGrams {
		r.refusal = refused("Field '%s': the analyzers would make more than %d terms of the document.", f.Path, maxGrams)
		return
	}
	r.tokenBuf = r.layout.searchable[n].ofText.Append(r.tokenBuf[:0], s)
	for i := range r.tokenBuf {
		text.Add(r.tokenBuf[i].Term, base+uint32(r.tokenBuf[i].Position)) //nolint:gosec // positions of a document fit
	}
}

// encodeStored joins the JSON of the fields, in the order of the layout's slots: how many there are, the length of each,
// then all of them. A field that was added to the index later is beyond the end.
func encodeStored(parts [][]byte) []byte {
	size := binary.MaxVarintLen32 * (len(parts) + 1)
	for _, p := range parts {
		size += len(p)
	}
	out := binary.AppendUvarint(make([]byte, 0, size), uint64(len(parts)))
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// decodeStored undoes encodeStored. The memory of parts is used again.
func decodeStored(stored []byte, parts [][]byte) ([][]byte, error) {
	n, size := binary.Uvarint(stored)
	if size <= 0 || n > uint64(len(stored)) {
		return nil, errDamaged
	}
	lengths := stored[size:]
	rest := lengths // behind the lengths
	for range n {
		_, size := binary.Uvarint(rest)
		if size <= 0 {
			return nil, errDamaged
		}
		rest = rest[size:]
	}
	parts = slices.Grow(parts[:0], int(n)) //nolint:gosec // at most as many as there are bytes
	for range n {
		length, size := binary.Uvarint(lengths)
		if length > uint64(len(rest)) {
			return nil, errDamaged
		}
		lengths = lengths[size:]
		parts, rest = append(parts, rest[:length:length]), rest[length:]
	}
	if len(rest) > 0 {
		return nil, errDamaged
	}
	return parts, nil
}

func isNull(raw []byte) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }
