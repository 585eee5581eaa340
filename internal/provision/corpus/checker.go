package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/internal/jsonscan"
	"github.com/onbehalf/onbehalf/search"
)

// Limits of the service on one document. The key rules are those of "Naming rules", the rest is from "Service limits" and,
// for permission fields, from "Index permissions by the push API".
//
// https://learn.microsoft.com/rest/api/searchservice/naming-rules
// https://learn.microsoft.com/azure/search/search-limits-quotas-capacity
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
const (
	maxKey        = 1024
	maxReaders    = 1000   // values in a userIds or groupIds field
	maxTermBytes  = 32_766 // of a value that is filterable, sortable or facetable
	maxElements   = 3000   // of all complex collections of a document
	maxScopes     = 5      // different values of the rbacScope field, over all documents
	readersSource = "search-index-access-control-lists-and-rbac-push-api"
)

// The values of permission fields that are no ids.
const (
	everyone = "all"
	nobody   = "none"
)

// Checker checks documents against the definition of an index. It is for one goroutine.
type Checker struct {
	definition *search.Definition
	key        *search.Field
	fields     map[string]*field
	enforced   bool
	scopes     map[string]bool
	groups     map[groupID]bool // that documents name
	moreGroups bool             // than are kept

	// of the document under way
	result   finding
	found    *finding
	elements int
	objects  int // counts all objects of all documents
}

// field is a field of the definition, ready to check values.
type field struct {
	*search.Field
	element    string // the type, or that of the elements
	collection bool
	whole      bool // values are indexed as one term
	inner      map[string]*field
	seenIn     int // the object that had it last
}

// finding is what a document says of its readers.
type finding struct {
	key      string
	everyone bool
	readers  int      // ids that may read
	strange  []string // values of permission fields that no token will ever hold
}

// NewChecker makes a checker of a definition, as the service returns it.
func NewChecker(definition *search.Definition) (*Checker, error) {
	c := &Checker{
		definition: definition, fields: fieldsOf(definition.Fields), scopes: map[string]bool{}, groups: map[groupID]bool{},
		enforced: definition.PermissionFilterOption == search.PermissionsEnabled,
	}
	for i := range definition.Fields {
		if definition.Fields[i].Key {
			c.key = &definition.Fields[i]
		}
	}
	if c.key == nil {
		return nil, fmt.Errorf("index %s: its definition has no key field", definition.Name)
	}
	return c, nil
}

func fieldsOf(fields []search.Field) map[string]*field {
	out := make(map[string]*field, len(fields))
	for i := range fields {
		f := &field{Field: &fields[i], element: fields[i].Type}
		if inner, ok := strings.CutPrefix(f.element, "Collection("); ok {
			f.element, f.collection = strings.TrimSuffix(inner, ")"), true
		}
		on := func(attribute *bool) bool { return attribute != nil && *attribute }
		f.whole = f.element == typeString && (on(f.Filterable) || on(f.Sortable) || on(f.Facetable))
		f.inner = fieldsOf(f.Fields)
		out[f.Name] = f
	}
	return out
}

// check reads one document.
func (c *Checker) check(document []byte) (*finding, *InputError) {
	c.result, c.elements = finding{}, 0
	c.found = &c.result
	if len(document) > maxDocument {
		return nil, &InputError{Err: fmt.Errorf("%d bytes; the service takes 16 MB a request", len(document))}
	}
	scan := jsonscan.New(document)
	problem := c.object(scan, c.fields, "")
	if problem == nil {
		if err := scan.End(); err != nil {
			problem = &InputError{Err: err}
		}
	}
	if problem != nil {
		return nil, problem
	}
	if c.found.key == "" {
		return nil, &InputError{Field: c.key.Name, Err: errors.New("the key is missing or empty")}
	}
	if !c.enforced {
		c.found.everyone = true
	}
	return c.found, nil
}

// object checks the members of an object. A name that stands twice is refused: the service and its clients differ on which
// counts.
func (c *Checker) object(scan *jsonscan.Scanner, fields map[string]*field, path string) (problem *InputError) {
	c.objects++
	object := c.objects
	err := scan.Members(func(name []byte, _ int) error {
		f := fields[string(name)]
		switch {
		case f == nil:
			problem = unknown(path, string(name), fields)
		case f.seenIn == object:
			problem = &InputError{Field: path + f.Name, Err: errors.New("stands twice")}
		}
		if problem != nil {
			return problem
		}
		f.seenIn = object
		where := f.Name
		if path != "" {
			where = path + f.Name
		}
		problem = c.member(scan, f, where)
		return errorOf(problem)
	})
	if problem == nil && err != nil {
		problem = syntax(path, err)
	}
	return problem
}

// errorOf keeps a nil problem a nil error.
func errorOf(problem *InputError) error {
	if problem == nil {
		return nil
	}
	return problem
}

func syntax(path string, err error) *InputError {
	if errors.Is(err, jsonscan.ErrKind) {
		err = errors.New("want a JSON object")
	}
	return &InputError{Field: strings.TrimSuffix(path, "/"), Err: err}
}

func unknown(path, name string, fields map[string]*field) *InputError {
	reason := errors.New("no field of the index")
	if strings.HasPrefix(name, "@search.") {
		reason = errors.New("documents are uploaded whole: a line cannot name an action")
	}
	for known := range fields {
		if strings.EqualFold(known, name) {
			reason = fmt.Errorf("no field of the index: it has %q", known)
		}
	}
	return &InputError{Field: path + clip(name), Err: reason}
}

// member checks the value of a field.
func (c *Checker) member(scan *jsonscan.Scanner, f *field, path string) (problem *InputError) {
	if !f.collection {
		return c.value(scan, f, path, false)
	}
	count := 0
	err := scan.Array(func() error {
		count++
		problem = c.value(scan, f, path, true)
		return errorOf(problem)
	})
	switch {
	case problem != nil:
		return problem
	case errors.Is(err, jsonscan.ErrKind):
		value, scanErr := scan.Value()
		if scanErr == nil && string(value) == "null" {
			return c.count(f, path, 0)
		}
		return &InputError{Field: path, Err: fmt.Errorf("want a list: the index has it as %s", f.Type)}
	case err != nil:
		return &InputError{Field: path, Err: err}
	}
	return c.count(f, path, count)
}

// count applies the limits on how long a list may be.
func (c *Checker) count(f *field, path string, n int) *InputError {
	if f.element == typeComplex {
		c.elements += n
	}
	switch {
	case c.elements > maxElements:
		return &InputError{Field: path, Err: fmt.Errorf("more than %d elements in complex collections, the service's limit for a document", maxElements)}
	case n > maxReaders && (f.PermissionFilter == search.UserIDs || f.PermissionFilter == search.GroupIDs):
		return &InputError{Field: path, Err: fmt.Errorf("%d values; the service takes %d at most (%s): put the people into a group", n, maxReaders, readersSource)}
	case f.Dimensions > 0 && n > 0 && n != f.Dimensions:
		return &InputError{Field: path, Err: fmt.Errorf("%d numbers; the index has vectors of %d there", n, f.Dimensions)}
	}
	return nil
}

// value checks one value, which may be an element of a list.
func (c *Checker) value(scan *jsonscan.Scanner, f *field, path string, element bool) *InputError {
	raw, err := scan.Value()
	switch {
	case err != nil:
		return &InputError{Field: path, Err: err}
	case string(raw) == "null" && element:
		return &InputError{Field: path, Err: errors.New("a list cannot hold null")}
	case string(raw) == "null":
		return nil
	case f.element == typeComplex:
		return c.object(jsonscan.New(raw), f.inner, path+"/")
	}
	if f.element != typeString {
		if reason := scalar(f.element, raw); reason != nil {
			return &InputError{Field: path, Err: reason}
		}
		return nil
	}
	return c.text(f, path, raw)
}

// text checks a string.
func (c *Checker) text(f *field, path string, raw []byte) *InputError {
	if raw[0] != '"' {
		return &InputError{Field: path, Err: fmt.Errorf("%s, want a string", clip(string(raw)))}
	}
	switch {
	case f.Key && f.Field == c.key:
		value, err := unquote(raw)
		if err != nil {
			return &InputError{Field: path, Err: err}
		}
		c.found.key = string(value)
		return keyProblem(path, c.found.key)
	case f.whole && len(raw) > maxTermBytes: // what stands there is never shorter than what it means
		value, err := unquote(raw)
		if err == nil && len(value) > maxTermBytes {
			err = fmt.Errorf("%d bytes; a field that is filterable, sortable or facetable takes %d", len(value), maxTermBytes)
		}
		if err != nil {
			return &InputError{Field: path, Err: err}
		}
	}
	if f.PermissionFilter == "" {
		return nil // it may be long, and nothing more is asked of it
	}
	value, err := unquote(raw)
	if err != nil {
		return &InputError{Field: path, Err: err}
	}
	return c.reader(f, path, value)
}

// unquote reads a string that was scanned; without escapes it is the text itself.
func unquote(raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return []byte(s), err
}

// keyProblem applies the naming rules.
func keyProblem(path, key string) *InputError {
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '='
	}
	var reason error
	switch {
	case key == "":
		reason = errors.New("the key is empty")
	case len(key) > maxKey:
		reason = fmt.Errorf("%d characters; a key has %d at most", utf8.RuneCountInString(key), maxKey)
	case strings.HasPrefix(key, "_"), !strings.ContainsFunc(key, legal), strings.ContainsFunc(key, func(r rune) bool { return !legal(r) }):
		reason = fmt.Errorf("%q: a key holds letters, digits, _, - and = only, and does not begin with _", clip(key))
	default:
		return nil
	}
	return &InputError{Field: path, Err: reason}
}

// reader notes who may read.
func (c *Checker) reader(f *field, path string, value []byte) *InputError {
	if f.PermissionFilter == search.RBACScope {
		if c.scopes[string(value)] = true; len(c.scopes) > maxScopes {
			return &InputError{Field: path, Err: fmt.Errorf("more than %d different scopes in one index, the service's limit (%s)", maxScopes, readersSource)}
		}
		c.found.readers++
		return nil
	}
	switch {
	case string(value) == everyone:
		c.found.everyone = true
	case string(value) == nobody:
	case !isObjectID(value):
		c.found.strange = append(c.found.strange, clip(string(value)))
	default:
		c.found.readers++
		if f.PermissionFilter == search.GroupIDs {
			c.keepGroup(groupIDOf(value))
		}
	}
	return nil
}

func (c *Checker) keepGroup(id groupID) {
	switch {
	case c.groups[id]:
	case len(c.groups) == maxGroupsKept:
		c.moreGroups = true
	default:
		c.groups[id] = true
	}
}

// groupID is an object id in sixteen bytes: documents may name a whole directory.
type groupID [16]byte

// groupIDOf reads what isObjectID accepts.
func groupIDOf(value []byte) (id groupID) {
	digits := 0
	for _, c := range value {
		if c == '-' {
			continue
		}
		digit := c - '0'
		if c >= 'a' {
			digit = c - 'a' + 10
		}
		id[digits/2] = id[digits/2]<<4 | digit
		digits++
	}
	return id
}

func (id groupID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// isObjectID accepts a GUID in lower case alone: whether the service matches ids in another case is not documented.
func isObjectID(value []byte) bool {
	const length = 36
	if len(value) != length {
		return false
	}
	for i, c := range value {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (c == '-') || !hyphen && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
