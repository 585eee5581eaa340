package odata

// Schema tells what fields an index has.
type Schema interface {
	// Field finds a field by its path from the root ("Address/City", "Rooms/Tags"); it is case-sensitive.
	Field(path string) (Field, bool)
}

// Field is what the checks need to know of a field.
type Field struct {
	Type       Type
	Collection bool
	// What may be done with it; all false for complex types.
	Filterable, Sortable, Facetable, Searchable, Retrievable bool
}

// Type is the type of a field, of an element where it is a collection.
type Type uint8

// The types.
const (
	StringType Type = iota + 1
	Int32Type
	Int64Type
	DoubleType
	BooleanType
	DateType
	GeographyType
	ComplexType
)

// String returns the type's name in the service's words.
func (t Type) String() string {
	switch t {
	case StringType:
		return "Edm.String"
	case Int32Type:
		return "Edm.Int32"
	case Int64Type:
		return "Edm.Int64"
	case DoubleType:
		return "Edm.Double"
	case BooleanType:
		return "Edm.Boolean"
	case DateType:
		return "Edm.DateTimeOffset"
	case GeographyType:
		return "Edm.GeographyPoint"
	case ComplexType:
		return "Edm.ComplexType"
	}
	return "Edm.Untyped"
}
