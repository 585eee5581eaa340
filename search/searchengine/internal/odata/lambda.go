package odata

// lambda checks any and all.
//
// https://learn.microsoft.com/azure/search/search-query-troubleshoot-collection-filters
func (c *checker) lambda(l *Lambda) error {
	f, err := c.filterable(l.Path)
	if err != nil {
		return err
	}
	if !f.Collection {
		return invalid(c.parameter, "Any/All may only be used following a collection.")
	}
	if l.Body == nil {
		return nil
	}
	c.inside = append(c.inside, l)
	l.Body, err = c.check(l.Body)
	c.inside = c.inside[:len(c.inside)-1]
	if err != nil || f.Type == ComplexType {
		return err
	}
	l.Body = push(l.Body, false)
	rules := lambdaRules{all: l.All, of: f.Type, parameter: c.parameter}
	switch f.Type {
	case StringType:
		return rules.strings(l.Body)
	case BooleanType:
		return rules.booleans(l.Body)
	default:
		return rules.comparables(l.Body, false)
	}
}

// push moves negations down to search.in. An element of a collection is never null, so a comparison negates into its
// opposite, unless it meets a NaN.
func push(e Expr, negated bool) Expr {
	switch e := e.(type) {
	case *Not:
		return push(e.Of, !negated)
	case *And:
		pushAll(e.Of, negated)
		if negated {
			return &Or{Of: e.Of}
		}
	case *Or:
		pushAll(e.Of, negated)
		if negated {
			return &And{Of: e.Of}
		}
	case *Constant:
		return &Constant{Value: e.Value != negated}
	case *Compare:
		if negated && (e.Op <= Ne || e.Value.Kind != Double) {
			e.Op = e.Op.negated()
			return e
		}
	}
	if _, isIn := e.(*In); negated && (isIn || isCompare(e)) {
		return &Not{Of: e}
	}
	return e
}

func pushAll(of []Expr, negated bool) {
	for i := range of {
		of[i] = push(of[i], negated)
	}
}

func isCompare(e Expr) bool {
	_, ok := e.(*Compare)
	return ok
}

// lambdaRules are the forms that the body of a lambda may take where it iterates over simple values. Its bodies have
// their negations pushed down.
type lambdaRules struct {
	all       bool
	of        Type
	parameter string
}

// strings allows x eq y and search.in joined by or in any, and their negations joined by and in all.
func (r lambdaRules) strings(e Expr) error {
	switch e := e.(type) {
	case *And:
		if !r.all {
			return r.errComplex()
		}
		return each(e.Of, r.strings)
	case *Or:
		if r.all {
			return r.errComplex()
		}
		return each(e.Of, r.strings)
	case *Compare:
		if e.Op > Ne {
			return r.errOnlyEquality()
		}
		return r.wantOpposite((e.Op == Ne) != r.all)
	case *In:
		return r.wantOpposite(r.all)
	case *Not:
		return r.wantOpposite(!r.all)
	}
	return r.errForm()
}

// booleans allows one test.
func (r lambdaRules) booleans(e Expr) error {
	switch e.(type) {
	case *Compare:
		return nil
	case *And, *Or:
		return r.errComplex()
	}
	return r.errForm()
}

// comparables allows comparisons in disjunctive normal form in any, in conjunctive normal form in all. Beside another
// test, ne in an any and eq in an all are of no use and not allowed.
func (r lambdaRules) comparables(e Expr, inner bool) error {
	var of []Expr
	switch e := e.(type) {
	case *And:
		if r.all && inner {
			return r.errForm()
		}
		of = e.Of
		inner = inner || !r.all
	case *Or:
		if !r.all && inner {
			return r.errForm()
		}
		of = e.Of
		inner = inner || r.all
	case *Compare:
		if inner && (!r.all && e.Op == Ne || r.all && e.Op == Eq) {
			return r.errForm()
		}
		return nil
	case *Not:
		return nil
	case *Constant:
		return nil
	default:
		return r.errForm()
	}
	return each(of, func(e Expr) error { return r.comparables(e, inner) })
}

func each(of []Expr, check func(Expr) error) error {
	for _, e := range of {
		if err := check(e); err != nil {
			return err
		}
	}
	return nil
}

func (r lambdaRules) wantOpposite(wrong bool) error {
	if !wrong {
		return nil
	}
	return invalid(r.parameter, "Invalid lambda expression. Found a test for equality or inequality where the opposite was expected "+
		"in a lambda expression that iterates over a field of type Collection(Edm.String). "+
		"For 'any', use expressions of the form 'x eq y' or 'search.in(...)'. "+
		"For 'all', use expressions of the form 'x ne y', 'not (x eq y)', or 'not search.in(...)'.")
}

func (r lambdaRules) errOnlyEquality() error {
	return invalid(r.parameter, "Invalid lambda expression. Found a comparison operator (one of 'lt', 'le', 'gt', or 'ge'). "+
		"Only equality operators are allowed in lambda expressions that iterate over fields of type Collection(Edm.String). "+
		"For 'any', use expressions of the form 'x eq y'. For 'all', use expressions of the form 'x ne y' or 'not (x eq y)'.")
}

func (r lambdaRules) errComplex() error {
	return invalid(r.parameter, "Invalid lambda expression. Complex Boolean expressions aren't supported in lambda expressions that "+
		"iterate over fields of type Collection(%s). For 'any', join subexpressions with 'or'; 'and' isn't supported. "+
		"For 'all', join subexpressions with 'and'; 'or' isn't supported.", r.of)
}

func (r lambdaRules) errForm() error {
	return invalid(r.parameter, "Invalid lambda expression. Found an unsupported form of complex Boolean expression. "+
		"For 'any', use expressions that are 'ORs of ANDs', also known as Disjunctive Normal Form. "+
		"For example: '(a and b) or (c and d)' where a, b, c, and d are comparison or equality subexpressions. "+
		"For 'all', use expressions that are 'ANDs of ORs', also known as Conjunctive Normal Form. "+
		"For example: '(a or b) and (c or d)' where a, b, c, and d are comparison or inequality subexpressions. "+
		"Examples of comparison expressions: 'x gt 5', 'x le 2'. Example of an equality expression: 'x eq 5'. "+
		"Example of an inequality expression: 'x ne 5'.")
}
