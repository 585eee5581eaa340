package odata

import (
	"math"
	"strings"
)

// Check tells whether the fields of a parsed filter exist, are filterable and have the types that the filter takes
// them for, and returns the filter in the form that [Compare] and [Lambda] describe. The parsed filter is used up.
//
// Strings may be compared by lt, le, gt and ge, in the order of their bytes: the service's documents contradict each
// other about it.
func Check(e Expr, schema Schema) (Expr, error) {
	c := checker{schema: schema, parameter: paramFilter}
	return c.check(e)
}

type checker struct {
	schema    Schema
	parameter string
	inside    []*Lambda // innermost last
}

func (c *checker) check(e Expr) (Expr, error) {
	switch e := e.(type) {
	case *And:
		return e, c.checkAll(e.Of)
	case *Or:
		return e, c.checkAll(e.Of)
	case *Not:
		of, err := c.check(e.Of)
		if constant, ok := of.(*Constant); ok {
			return &Constant{Value: !constant.Value}, err
		}
		return &Not{Of: of}, err
	case *Constant:
		return e, nil
	case *Compare:
		return c.compare(e)
	case *In:
		return e, c.in(e)
	case *Lambda:
		return e, c.lambda(e)
	case *Match:
		return e, c.match(e)
	case *Geo:
		return nil, unsupported("The function '"+e.Function+"'", c.parameter)
	}
	return nil, errNotBoolean(c.parameter)
}

func (c *checker) checkAll(of []Expr) error {
	for i := range of {
		var err error
		if of[i], err = c.check(of[i]); err != nil {
			return err
		}
	}
	return nil
}

// filterable finds the field of a path and checks all but its type.
func (c *checker) filterable(p Path) (Field, error) {
	f, err := c.find(p)
	if err == nil && !f.Filterable && f.Type != ComplexType {
		err = invalid(c.parameter, "%s is not a filterable field. Only filterable fields can be used in filter expressions.", p.Name)
	}
	return f, err
}

// find finds the field that a path leads to, without going through a collection other than that of its variable.
func (c *checker) find(p Path) (Field, error) {
	start := 0
	if n := len(c.inside); n > 0 {
		inner := c.inside[n-1]
		if p.Var != inner.Var {
			return Field{}, invalid(c.parameter, "The field '%s' is not bound to the range variable '%s'. "+
				"Only bound field references are supported inside lambda expressions ('any' or 'all'). "+
				"Please change your filter so that the reference to '%s' is outside the lambda expression and try again.",
				quotable(p.Name), inner.Var, quotable(p.Name))
		}
		start = len(inner.Path.Name)
	}
	return findField(c.schema, p.Name, start, c.parameter, false)
}

// findField finds a field by its path; the segments before start are known to be good.
func findField(schema Schema, name string, start int, parameter string, throughCollections bool) (Field, error) {
	f, ok := schema.Field(name)
	for i := start; i < len(name) && ok; i++ {
		if name[i] != '/' {
			continue
		}
		if parent, known := schema.Field(name[:i]); known && parent.Collection && i > start && !throughCollections {
			child, _, _ := strings.Cut(name[i+1:], "/")
			return f, invalid(parameter, "The parent value for a property access of a property '%s' is not a single value. "+
				"Property access can only be applied to a single value.", child)
		}
	}
	if !ok {
		return f, errUnknownField(schema, name, parameter)
	}
	return f, nil
}

// errUnknownField names the first segment that does not exist and the type that it was looked for in.
func errUnknownField(schema Schema, name, parameter string) error {
	parent := "search.document"
	from := 0
	for segment := range strings.SplitSeq(name, "/") {
		end := from + len(segment)
		if _, ok := schema.Field(name[:end]); !ok || end == len(name) {
			name = segment
			break
		}
		parent, from = "search.complex."+segment, end+1
	}
	return invalid(parameter, "Could not find a property named '%s' on type '%s'.", quotable(name), parent)
}

func (c *checker) compare(e *Compare) (Expr, error) {
	f, err := c.filterable(e.Path)
	if err != nil {
		return nil, err
	}
	element := len(c.inside) > 0 && e.Path.Name == c.inside[len(c.inside)-1].Path.Name
	if f.Collection && !element || f.Type == ComplexType {
		return nil, c.mismatch(e, f, element)
	}
	if e.Value.Kind == Null {
		if e.Op > Ne {
			return nil, invalid(c.parameter, "Only the operators 'eq' and 'ne' can be used with null.")
		}
		return &Compare{Path: e.Path, Op: e.Op}, nil
	}
	out, ok := fit(e, f.Type)
	if !ok {
		return nil, c.mismatch(e, f, element)
	}
	return out, nil
}

func (c *checker) mismatch(e *Compare, f Field, element bool) error {
	left, right, op := f.name(element), e.Value.typeName(), e.Op
	if e.bare {
		return errNotBoolean(c.parameter)
	}
	if e.swapped {
		left, right, op = right, left, op.swapped()
	}
	return errOperands(c.parameter, left, right, op)
}

// name is the field's type in errors.
func (f Field) name(element bool) string {
	if f.Collection && !element {
		return "Collection(" + f.Type.String() + ")"
	}
	return f.Type.String()
}

// fit brings the literal of a comparison to the field's type.
func fit(e *Compare, t Type) (Expr, bool) {
	out := &Compare{Path: e.Path, Op: e.Op, Value: e.Value}
	switch {
	case t == StringType && e.Value.Kind == String, t == DateType && e.Value.Kind == Date:
		return out, true
	case t == BooleanType && e.Value.Kind == Boolean:
		return out, e.Op <= Ne
	case (t == Int32Type || t == Int64Type) && e.Value.Kind == Int:
		return out, true
	case (t == Int32Type || t == Int64Type) && e.Value.Kind == Double:
		if f := e.Value.Double; math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, false
		}
		return fitInt(e), true
	case t == DoubleType && e.Value.Kind == Int:
		out.Value = Value{Kind: Double, Double: float64(e.Value.Int)}
		return out, true
	case t == DoubleType && e.Value.Kind == Double:
		return out, true
	}
	return nil, false
}

// fitInt is the comparison of an integer field with a finite Double, as one of integers or, where no integer can
// equal it or all are on one side of it, as one that the null values alone decide.
func fitInt(e *Compare) Expr {
	f := e.Value.Double
	floor := math.Floor(f)
	below, above := floor >= math.MaxInt64, floor < math.MinInt64 // all integers are below, above f
	if !below && !above && floor == f {
		return &Compare{Path: e.Path, Op: e.Op, Value: Value{Kind: Int, Int: int64(f)}}
	}
	notNull := &Compare{Path: e.Path, Op: Ne}
	less := e.Op == Lt || e.Op == Le
	switch {
	case e.Op == Eq:
		return &Constant{Value: false}
	case e.Op == Ne:
		return &Constant{Value: true}
	case below && less, above && !less:
		return notNull
	case below || above:
		return &Constant{Value: false}
	case less: // f lies between floor and floor+1
		return &Compare{Path: e.Path, Op: Le, Value: Value{Kind: Int, Int: int64(floor)}}
	default:
		return &Compare{Path: e.Path, Op: Gt, Value: Value{Kind: Int, Int: int64(floor)}}
	}
}

func (c *checker) in(e *In) error {
	f, err := c.filterable(e.Path)
	if err != nil {
		return err
	}
	element := len(c.inside) > 0 && e.Path.Name == c.inside[len(c.inside)-1].Path.Name
	if f.Type != StringType || f.Collection && !element {
		return invalid(c.parameter, "No function signature for the function with name 'search.in' matches the specified arguments. "+
			"The function signatures considered are: search.in(Edm.String, Edm.String); search.in(Edm.String, Edm.String, Edm.String).")
	}
	return nil
}

func (c *checker) match(e *Match) error {
	function := "search.ismatch"
	if e.Scoring {
		function = "search.ismatchscoring"
	}
	if n := len(c.inside); n > 0 {
		return invalid(c.parameter, "The function '%s' has no parameters bound to the range variable '%s'. "+
			"Only bound field references are supported inside lambda expressions ('any' or 'all'). "+
			"Please change your filter so that the '%s' function is outside the lambda expression and try again.",
			function, c.inside[n-1].Var, function)
	}
	for _, name := range e.Fields {
		f, err := findField(c.schema, name, 0, c.parameter, true)
		if err != nil {
			return err
		}
		if !f.Searchable {
			return invalid(c.parameter, "%s is not a searchable field. Only searchable fields can be used in the function '%s'.", quotable(name), function)
		}
	}
	return nil
}
