package odata

import (
	"strings"
)

// The service bounds filters by size (16 MB of request) and by an unpublished number of clauses; these keep a hostile
// filter from exhausting the stack or the engine.
const (
	maxDepth   = 200
	maxClauses = 10_000
)

// Parse reads a filter without knowing the fields. A blank text is nil.
func Parse(text string) (Expr, error) {
	p := parser{lexer: lexer{text: text, parameter: paramFilter}}
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.is(tokEnd) {
		return nil, nil //nolint:nilnil // no filter is a filter of its own
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.is(tokEnd) {
		return nil, p.syntaxError()
	}
	return e, nil
}

type parser struct {
	lexer
	scope   []variable
	depth   int
	clauses int
}

// variable is a range variable with the path of the collection whose element it is.
type variable struct{ name, path string }

func (p *parser) or() (Expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, invalid(p.parameter, "Recursion depth exceeded allowed limit.")
	}
	defer func() { p.depth-- }()
	operands, err := p.operands("or", p.and)
	if err != nil || len(operands) == 1 {
		return operands[0], err
	}
	return &Or{Of: operands}, nil
}

func (p *parser) and() (Expr, error) {
	operands, err := p.operands("and", p.not)
	if err != nil || len(operands) == 1 {
		return operands[0], err
	}
	return &And{Of: operands}, nil
}

// operands reads one or more operands with the operator between them.
func (p *parser) operands(operator string, operand func() (Expr, error)) ([]Expr, error) {
	first, err := operand()
	of := []Expr{first}
	for err == nil && p.isWord(operator) {
		if err = p.next(); err != nil {
			break
		}
		var e Expr
		e, err = operand()
		of = append(of, e)
	}
	return of, err
}

func (p *parser) not() (Expr, error) {
	negated := false
	for p.isWord("not") {
		negated = !negated
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	e, err := p.primary()
	if err == nil && negated {
		e = &Not{Of: e}
	}
	return e, err
}

func (p *parser) primary() (Expr, error) {
	if p.clauses++; p.clauses > maxClauses {
		return nil, invalid(p.parameter, "The filter has more than %d clauses.", maxClauses)
	}
	switch p.token.kind {
	case tokOpen:
		if err := p.next(); err != nil {
			return nil, err
		}
		e, err := p.or()
		if err == nil {
			err = p.close()
		}
		return e, err
	case tokString, tokGeography, tokLiteral:
		return p.literalFirst()
	case tokName:
		if isLiteralWord(p.token.text) {
			return p.literalFirst()
		}
		return p.nameFirst()
	case tokEnd:
		return nil, p.errorAt(len(p.text), "Expression expected")
	default:
		return nil, p.errorAt(p.token.start, "Expression expected")
	}
}

func (p *parser) close() error {
	if !p.is(tokClose) {
		return p.errorAt(p.token.start, "')' or operator expected")
	}
	return p.next()
}

// literalFirst reads a comparison with the literal on the left, or true or false alone.
func (p *parser) literalFirst() (Expr, error) {
	value, err := p.literal()
	if err != nil {
		return nil, err
	}
	op, ok := operator(p.token)
	if !ok {
		if value.Kind == Boolean {
			return &Constant{Value: value.Bool}, nil
		}
		if p.is(tokEnd) || p.is(tokClose) || p.isWord("and") || p.isWord("or") {
			return nil, errNotBoolean(p.parameter)
		}
		return nil, p.syntaxError()
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if !p.is(tokName) || isLiteralWord(p.token.text) {
		if p.is(tokEnd) {
			return nil, p.errorAt(len(p.text), "Expression expected")
		}
		return nil, errComparison(p.parameter)
	}
	name := p.token
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.is(tokOpen) {
		e, err := p.call(name)
		if err != nil {
			return nil, err
		}
		return p.compareCall(e, op, value)
	}
	return &Compare{Path: p.resolve(name.text), Op: op.swapped(), Value: value, swapped: true}, nil
}

// nameFirst reads what begins with a field, a range variable or a function.
func (p *parser) nameFirst() (Expr, error) {
	name := p.token
	if err := p.next(); err != nil {
		return nil, err
	}
	var call Expr
	if p.is(tokOpen) {
		e, err := p.call(name)
		if err != nil {
			return nil, err
		}
		if _, isLambda := e.(*Lambda); isLambda {
			return e, nil
		}
		call = e
	}
	op, ok := operator(p.token)
	if !ok {
		if call != nil {
			return call, nil
		}
		return &Compare{Path: p.resolve(name.text), Value: Value{Kind: Boolean, Bool: true}, bare: true}, nil
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.is(tokName) && !isLiteralWord(p.token.text) {
		return nil, errComparison(p.parameter)
	}
	value, err := p.literal()
	if err != nil {
		return nil, err
	}
	if call != nil {
		return p.compareCall(call, op, value)
	}
	return &Compare{Path: p.resolve(name.text), Op: op, Value: value}, nil
}

// compareCall is a function's result compared with a literal.
func (p *parser) compareCall(call Expr, op Op, value Value) (Expr, error) {
	if _, isGeo := call.(*Geo); isGeo {
		return call, nil
	}
	if value.Kind != Boolean || op > Ne {
		return nil, errOperands(p.parameter, "Edm.Boolean", value.typeName(), op)
	}
	if value.Bool == (op == Eq) {
		return call, nil
	}
	return &Not{Of: call}, nil
}

// resolve makes a path of a name: a range variable's, or one from the root.
func (p *parser) resolve(name string) Path {
	first, rest, nested := strings.Cut(name, "/")
	for _, v := range p.scope { // no name is declared twice
		if v.name == first {
			if nested {
				return Path{Name: v.path + "/" + rest, Var: first}
			}
			return Path{Name: v.path, Var: first}
		}
	}
	return Path{Name: name}
}

func (p *parser) literal() (Value, error) {
	t := p.token
	value := Value{}
	switch {
	case t.kind == tokString:
		value = Value{Kind: String, String: t.text}
	case t.kind == tokGeography:
		value = Value{Kind: Geography, String: t.text}
	case t.kind == tokLiteral:
		v, err := p.number(t)
		if err != nil {
			return value, err
		}
		value = v
	case t.kind == tokName && t.text == "null":
	case t.kind == tokName && (t.text == "true" || t.text == "false"):
		value = Value{Kind: Boolean, Bool: t.text == "true"}
	case t.kind == tokName && isLiteralWord(t.text):
		value, _ = ParseNumber(t.text)
	case t.kind == tokEnd:
		return value, p.errorAt(len(p.text), "Expression expected")
	default:
		return value, p.syntaxError()
	}
	return value, p.next()
}

func (p *parser) number(t token) (Value, error) {
	if v, ok := ParseNumber(t.text); ok {
		return v, nil
	}
	if ticks, ok := ParseDate(t.text); ok {
		return Value{Kind: Date, Int: ticks}, nil
	}
	if looksLikeDate(t.text) {
		return Value{}, invalid(p.parameter, "Unrecognized 'Edm.DateTimeOffset' literal '%s' at '%d' in '%s'.",
			quotable(t.text), utf16Len(p.text[:t.start]), quotable(p.text))
	}
	return Value{}, p.syntaxError()
}

func isLiteralWord(s string) bool {
	switch s {
	case "null", "true", "false", "NaN", "INF":
		return true
	}
	return false
}

func operator(t token) (Op, bool) {
	if t.kind == tokName {
		switch t.text {
		case "eq":
			return Eq, true
		case "ne":
			return Ne, true
		case "lt":
			return Lt, true
		case "le":
			return Le, true
		case "gt":
			return Gt, true
		case "ge":
			return Ge, true
		}
	}
	return 0, false
}

// swapped is the operator with its operands exchanged.
func (o Op) swapped() Op {
	switch o {
	case Lt:
		return Gt
	case Le:
		return Ge
	case Gt:
		return Lt
	case Ge:
		return Le
	default:
		return o
	}
}

// negated is the operator that is true of two values where o is false; neither is null or NaN.
func (o Op) negated() Op {
	switch o {
	case Eq:
		return Ne
	case Ne:
		return Eq
	case Lt:
		return Ge
	case Le:
		return Gt
	case Gt:
		return Le
	default:
		return Lt
	}
}

// kind is the operator's name in errors.
func (o Op) kind() string {
	return [...]string{"Equal", "NotEqual", "LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual"}[o]
}

func errNotBoolean(parameter string) error {
	return invalid(parameter, "The $filter expression must evaluate to a single boolean value.")
}

func errComparison(parameter string) error {
	return invalid(parameter, "Comparison must be between a field, range variable or function call and a literal value.")
}

func errOperands(parameter, left, right string, op Op) error {
	return invalid(parameter, "A binary operator with incompatible types was detected. Found operand types '%s' and '%s' for operator kind '%s'.",
		left, right, op.kind())
}
