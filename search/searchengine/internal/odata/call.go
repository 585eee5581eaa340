package odata

import "strings"

// call reads a function's arguments; the parenthesis is the current token.
func (p *parser) call(name token) (Expr, error) {
	if err := p.next(); err != nil {
		return nil, err
	}
	switch name.text {
	case "search.in":
		return p.searchIn()
	case "search.ismatch", "search.ismatchscoring":
		return p.match(name)
	case "geo.distance", "geo.intersects":
		return p.geo(name)
	}
	if i := strings.LastIndexByte(name.text, '/'); i >= 0 {
		if word := name.text[i+1:]; word == "any" || word == "all" {
			return p.lambda(name.text[:i], word == "all")
		}
	}
	return nil, invalid(p.parameter, "An unknown function with name '%s' was found. "+
		"This may also be a function import or a key lookup on a navigation property, which is not allowed.", quotable(name.text))
}

func (p *parser) lambda(collection string, all bool) (Expr, error) {
	l := &Lambda{Path: p.resolve(collection), All: all}
	if p.is(tokClose) && !all {
		return l, p.next()
	}
	name, err := p.expect(tokName)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(name.text, "./") || isLiteralWord(name.text) {
		return nil, p.syntaxError()
	}
	for _, v := range p.scope {
		if v.name == name.text {
			return nil, invalid(p.parameter, "The range variable '%s' has already been declared.", quotable(name.text))
		}
	}
	if _, err = p.expect(tokColon); err != nil {
		return nil, err
	}
	l.Var = name.text
	p.scope = append(p.scope, variable{name: l.Var, path: l.Path.Name})
	l.Body, err = p.or()
	p.scope = p.scope[:len(p.scope)-1]
	if err != nil {
		return nil, err
	}
	return l, p.close()
}

// searchIn reads search.in(field, 'values'[, 'delimiters']).
//
// https://learn.microsoft.com/azure/search/search-query-odata-search-in-function
func (p *parser) searchIn() (Expr, error) {
	name, err := p.expect(tokName)
	if err != nil {
		return nil, err
	}
	ok, err := p.comma()
	if err != nil || !ok {
		return nil, p.orArguments(err)
	}
	values, err := p.expect(tokString)
	if err != nil {
		return nil, err
	}
	delimiters := ", "
	if ok, err = p.comma(); err != nil {
		return nil, err
	}
	if ok {
		var given token
		if given, err = p.expect(tokString); err != nil {
			return nil, err
		}
		delimiters = given.text
	}
	return &In{Path: p.resolve(name.text), Values: split(values.text, delimiters)}, p.endArguments()
}

// split cuts at each of the delimiters; empty parts are left out.
func split(s, delimiters string) []string {
	if len(delimiters) != 1 {
		return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(delimiters, r) })
	}
	parts := make([]string, 0, strings.Count(s, delimiters)+1)
	for part := range strings.SplitSeq(s, delimiters) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// match reads the one to four arguments of search.ismatch.
//
// https://learn.microsoft.com/azure/search/search-query-odata-full-text-search-functions
func (p *parser) match(name token) (Expr, error) {
	var args []string
	for more := true; more; {
		// null leaves an argument out, as the service's documentation has it for the fields.
		if p.isWord("null") && len(args) > 0 {
			p.token.kind, p.token.text = tokString, ""
		}
		arg, err := p.expect(tokString)
		if err != nil {
			return nil, err
		}
		args = append(args, arg.text)
		if more, err = p.comma(); err != nil {
			return nil, err
		}
	}
	if len(args) > 4 {
		return nil, invalid(p.parameter, "The function '%s' takes 1 to 4 arguments, not %d.", name.text, len(args))
	}
	args = append(args, "", "", "")
	m := &Match{Scoring: name.text == "search.ismatchscoring", Search: args[0]}
	for field := range strings.SplitSeq(args[1], ",") {
		if field = strings.TrimSpace(field); field != "" {
			m.Fields = append(m.Fields, field)
		}
	}
	var ok bool
	if m.Full, ok = oneOf(args[2], "simple", "full"); !ok {
		return nil, invalid(p.parameter, "The third argument of the function '%s' must be 'simple' or 'full'.", name.text)
	}
	if m.All, ok = oneOf(args[3], "any", "all"); !ok {
		return nil, invalid(p.parameter, "The fourth argument of the function '%s' must be 'any' or 'all'.", name.text)
	}
	return m, p.endArguments()
}

// oneOf tells no or yes; "" is no.
func oneOf(s, no, yes string) (isYes, ok bool) { return s == yes, s == yes || s == no || s == "" }

// geo reads the two arguments of a geography function, so that the refusal is of the function, not of its syntax.
func (p *parser) geo(name token) (Expr, error) {
	for i := range 2 {
		if i > 0 {
			if ok, err := p.comma(); err != nil || !ok {
				return nil, p.orArguments(err)
			}
		}
		if !p.is(tokName) && !p.is(tokGeography) {
			return nil, p.syntaxError()
		}
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	return &Geo{Function: name.text}, p.endArguments()
}

func (p *parser) endArguments() error {
	if !p.is(tokClose) {
		return p.orArguments(nil)
	}
	return p.next()
}

// orArguments is err, or the error that a comma or a parenthesis is missing.
func (p *parser) orArguments(err error) error {
	if err != nil {
		return err
	}
	return p.errorAt(p.token.start, "')' or ',' expected")
}
