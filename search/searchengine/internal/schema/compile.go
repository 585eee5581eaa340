package schema

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

// Limits of the service.
//
// https://learn.microsoft.com/azure/search/search-limits-quotas-capacity#index-limits
const (
	maxFields             = 1000
	maxDepth              = 10
	maxComplexCollections = 40
)

var (
	indexName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,126}[a-z0-9])$`)
	fieldName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]{0,127}$`)
)

// Names says which analyzers and normalizers there are. A function returns an error that matches
// [search.ErrUnsupported] or [search.ErrBadRequest] for a name that it does not know.
type Names struct {
	Analyzer, Normalizer func(name string) error
}

// Compile checks a definition and returns its compiled form, and the definition with every default written out. Errors
// are *[search.Error].
func Compile(d *search.Definition, names Names) (*Schema, *search.Definition, error) {
	if !indexName.MatchString(d.Name) {
		return nil, nil, invalid("Index name '%s' is not valid. It must be 2 to 128 lower-case letters, digits or dashes, and neither begin nor end with a dash.", d.Name)
	}
	if err := refuseUnsupported(d); err != nil {
		return nil, nil, err
	}
	full := *d
	c := &compiler{names: names, schema: &Schema{byPath: map[string]*Field{}, K1: 1.2, B: 0.75}}
	var err error
	if full.Fields, c.schema.Fields, err = c.fields(d.Fields, nil, 1); err != nil {
		return nil, nil, err
	}
	if err := c.finish(d); err != nil {
		return nil, nil, err
	}
	if full.Similarity == nil {
		full.Similarity = &search.Similarity{Type: bm25Type}
	}
	return c.schema, &full, nil
}

const bm25Type = "#Microsoft.Azure.Search.BM25Similarity"

type compiler struct {
	names              Names
	schema             *Schema
	complexCollections int
}

func (c *compiler) fields(in []search.Field, parent *Field, depth int) ([]search.Field, []*Field, error) {
	if depth > maxDepth {
		return nil, nil, invalid("Field '%s' is nested more than %d levels deep.", parent.Path, maxDepth)
	}
	out, compiled := make([]search.Field, len(in)), make([]*Field, len(in))
	for i := range in {
		out[i] = in[i]
		field, err := c.field(&out[i], parent)
		if err != nil {
			return nil, nil, err
		}
		if field.Type == odata.ComplexType {
			if out[i].Fields, field.Fields, err = c.fields(in[i].Fields, field, depth+1); err != nil {
				return nil, nil, err
			}
		}
		compiled[i] = field
	}
	return out, compiled, nil
}

func (c *compiler) field(in *search.Field, parent *Field) (*Field, error) {
	f := &Field{Name: in.Name, Path: in.Name, Parent: parent, Key: in.Key}
	if parent != nil {
		f.Path = parent.Path + "/" + in.Name
	}
	if !fieldName.MatchString(in.Name) || strings.HasPrefix(in.Name, "azureSearch") {
		return nil, invalid("Field name '%s' is not valid. It must begin with a letter, hold only letters, digits and underscores, have at most 128 characters, and not begin with 'azureSearch'.", f.Path)
	}
	if c.schema.byPath[f.Path] != nil {
		return nil, invalid("Field '%s' occurs more than once.", f.Path)
	}
	if err := f.setType(in); err != nil {
		return nil, err
	}
	c.schema.byPath[f.Path], c.schema.all = f, append(c.schema.all, f)
	if f.Type == odata.ComplexType {
		if f.Collection {
			c.complexCollections++
		}
		return f, f.checkComplex(in)
	}
	if err := f.setAttributes(in); err != nil {
		return nil, err
	}
	if err := c.setAnalysis(f, in); err != nil {
		return nil, err
	}
	return f, c.setPermission(f, in)
}

func (f *Field) setType(in *search.Field) error {
	name := in.Type
	if inner, ok := strings.CutPrefix(name, "Collection("); ok && strings.HasSuffix(inner, ")") {
		f.Collection, name = true, strings.TrimSuffix(inner, ")")
	}
	switch name {
	case "Edm.ComplexType":
		f.Type = odata.ComplexType
		return nil
	case "Edm.GeographyPoint":
		return unsupported("type 'Edm.GeographyPoint' of field '" + f.Path + "'")
	case "Edm.Single", "Edm.Half", "Edm.Int16", "Edm.SByte", "Edm.Byte":
		return unsupported("vector type '" + in.Type + "' of field '" + f.Path + "'")
	}
	types := []odata.Type{odata.StringType, odata.Int32Type, odata.Int64Type, odata.DoubleType, odata.BooleanType, odata.DateType}
	n := slices.IndexFunc(types, func(t odata.Type) bool { return t.String() == name })
	if n < 0 {
		return invalid("Field '%s' has the type '%s', which does not exist.", f.Path, in.Type)
	}
	if in.Dimensions != 0 || in.VectorSearchProfile != "" {
		return unsupported("vector attributes of field '" + f.Path + "'")
	}
	if len(in.Fields) > 0 {
		return invalid("Field '%s' of type '%s' must not have sub-fields.", f.Path, in.Type)
	}
	f.Type = types[n]
	return nil
}

func (f *Field) checkComplex(in *search.Field) error {
	if len(in.Fields) == 0 {
		return invalid("Complex field '%s' must have at least one sub-field.", f.Path)
	}
	for attribute, set := range map[string]bool{
		"key": in.Key, "searchable": is(in.Searchable), "filterable": is(in.Filterable), "sortable": is(in.Sortable),
		"facetable": is(in.Facetable), "analyzer": in.Analyzer+in.SearchAnalyzer+in.IndexAnalyzer != "",
		"normalizer": in.Normalizer != "", "permissionFilter": in.PermissionFilter != "",
	} {
		if set {
			return invalid("Attribute '%s' must not be set on the complex field '%s'; set it on its sub-fields.", attribute, f.Path)
		}
	}
	// Whether a complex field can be retrieved is a matter of its sub-fields.
	f.Retrievable = true
	return nil
}

// setAttributes applies the service's defaults, and writes them into the definition.
//
// https://learn.microsoft.com/rest/api/searchservice/indexes/create#searchfield
func (f *Field) setAttributes(in *search.Field) error {
	isString := f.Type == odata.StringType
	in.Retrievable = orDefault(in.Retrievable, true)
	in.Searchable = orDefault(in.Searchable, isString && !in.Key)
	in.Filterable = orDefault(in.Filterable, true)
	in.Sortable = orDefault(in.Sortable, !f.inCollection())
	in.Facetable = orDefault(in.Facetable, true)
	f.Retrievable, f.Searchable, f.Filterable = *in.Retrievable, *in.Searchable, *in.Filterable
	f.Sortable, f.Facetable = *in.Sortable, *in.Facetable
	switch {
	case f.Searchable && !isString:
		return invalid("Field '%s' of type '%s' cannot be searchable; only Edm.String and Collection(Edm.String) can.", f.Path, in.Type)
	case f.Sortable && f.inCollection():
		return invalid("Field '%s' cannot be sortable, because it can have more than one value.", f.Path)
	case f.Key && (!isString || f.Collection || f.Parent != nil):
		return invalid("The key field '%s' must be a top-level field of type Edm.String.", f.Path)
	case f.Key && !f.Retrievable:
		return invalid("The key field '%s' must be retrievable.", f.Path)
	}
	return nil
}

// inCollection reports whether a document can have several values of the field.
func (f *Field) inCollection() bool {
	for at := f; at != nil; at = at.Parent {
		if at.Collection {
			return true
		}
	}
	return false
}

func orDefault(given *bool, value bool) *bool {
	if given == nil {
		return &value
	}
	return given
}

func is(attribute *bool) bool { return attribute != nil && *attribute }

func invalid(format string, args ...any) error {
	return &search.Error{
		Status:  http.StatusBadRequest,
		Message: "The request is invalid. Details: definition : " + fmt.Sprintf(format, args...),
	}
}

// unsupported refuses by name what the local service leaves out.
func unsupported(what string) error {
	return &search.Error{
		Status: http.StatusNotImplemented, Code: "NotImplemented",
		Message: "The local service does not support the " + what + ".",
	}
}
