package odata

// Expr is a node of a filter: *[And], *[Or], *[Not], *[Constant], *[Compare], *[In], *[Lambda], *[Match], or *[Geo]. Only
// what [Check] returns is fit to be evaluated.
type Expr interface{ expr() }

// And is true where all of Of (two or more) are.
type And struct{ Of []Expr }

// Or is true where any of Of (two or more) is.
type Or struct{ Of []Expr }

// Not is true where Of is false. There is no third truth value: a comparison with null is true or false.
type Not struct{ Of Expr }

// Constant is the literal true or false.
type Constant struct{ Value bool }

// Compare is a comparison of a field with a literal, the field on the left wherever it stood in the text. A Boolean
// field standing alone is the comparison with true.
//
// What the checked form means: with Null, only Eq (the field is null) and Ne (it is not) occur. Otherwise a null field
// makes Ne true and every other operator false. A NaN, on either side, makes Ne true and every other operator false.
type Compare struct {
	Path  Path
	Op    Op
	Value Value // Check makes its kind that of the field, or Null

	bare    bool // a Boolean field standing alone
	swapped bool // the literal stood on the left
}

// In is search.in: true where the string field equals one of Values. They stand as in the text, the empty ones left
// out, and may repeat; none match nothing.
type In struct {
	Path   Path
	Values []string
}

// Lambda is any or all over the elements of a collection. In Body, paths lead from the root of the document through the
// collection, but stand for the one element; over a collection of strings or numbers they equal Path itself.
type Lambda struct {
	Path Path
	All  bool   // all(…), which holds for an empty collection; otherwise any(…)
	Var  string // "" for any()
	Body Expr   // nil for any(): true where the collection is not empty
}

// Match is search.ismatch or search.ismatchscoring: a full-text query inside a filter.
type Match struct {
	Scoring bool
	Search  string
	Fields  []string // nil for all that are searchable
	Full    bool     // queryType: full, otherwise simple
	All     bool     // searchMode: all, otherwise any
}

// Geo is a call of a geography function, which [Check] refuses by name.
type Geo struct {
	Function string // "geo.distance" or "geo.intersects"
}

func (*And) expr()      {}
func (*Or) expr()       {}
func (*Not) expr()      {}
func (*Constant) expr() {}
func (*Compare) expr()  {}
func (*In) expr()       {}
func (*Lambda) expr()   {}
func (*Match) expr()    {}
func (*Geo) expr()      {}

// Path names a field.
type Path struct {
	Name string // from the root of the document: "Address/City"; below a lambda: "Rooms/BaseRate"
	Var  string // the range variable that it began with, "" for none
}

// Op is a comparison operator.
type Op uint8

// The operators.
const (
	Eq Op = iota
	Ne
	Lt
	Le
	Gt
	Ge
)

// Kind is the kind of a [Value].
type Kind uint8

// The kinds of value.
const (
	Null Kind = iota
	Boolean
	Int    // Edm.Int32 and Edm.Int64
	Double // also Edm.Single
	String
	Date // Edm.DateTimeOffset
	Geography
)

// Value is a literal. The member that its kind names is set, the others are zero.
type Value struct {
	Kind   Kind
	Bool   bool
	Int    int64   // also of a Date: 100 ns ticks since 0001-01-01T00:00:00Z
	Double float64 // NaN and the infinities too
	String string
}
