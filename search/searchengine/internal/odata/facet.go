package odata

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Facet is one facet expression.
//
// https://learn.microsoft.com/rest/api/searchservice/documents/search-post
type Facet struct {
	Path     string
	Count    int       // of buckets at most, 10 unless given; no matter with Values or Interval
	Sort     FacetSort // no matter with Values or Interval
	Values   []Value   // bounds of ranges, ascending and distinct; nil for none
	Interval Interval  // zero for none
	Offset   int64     // of a date interval: the zone's distance from UTC in 100 ns ticks, east is positive
}

// FacetSort is the order of a facet's buckets.
type FacetSort uint8

// The orders. Buckets of one count are ordered by value, ascending.
const (
	CountDesc FacetSort = iota
	CountAsc
	ValueAsc
	ValueDesc
)

// Interval is the width of a facet's buckets: a number, or a unit of time.
type Interval struct {
	Int    int64   // for integer fields, > 0
	Double float64 // for Double fields, > 0 and finite
	Unit   Unit    // for dates
}

// Unit is a unit of time.
type Unit uint8

// The units of a date interval.
const (
	NoUnit Unit = iota
	Minute
	Hour
	Day
	Week // begins on Monday
	Month
	Quarter
	Year
)

// The service gives no upper limit for these.
const (
	defaultFacetCount = 10
	maxFacetValues    = 1000
)

// ParseFacet parses a facet expression and checks it.
func ParseFacet(text string, schema Schema) (*Facet, error) {
	name, options, more := strings.Cut(text, ",")
	f := &Facet{Path: strings.TrimSpace(name), Count: defaultFacetCount}
	field, ok := schema.Field(f.Path)
	if !ok || field.Type == ComplexType {
		return nil, badRequest(paramFacet, "Unknown field '"+quotable(f.Path)+"' in facet specification.")
	}
	if !field.Facetable {
		return nil, badRequest(paramFacet, "The field '"+f.Path+"' in the facet specification is not facetable.")
	}
	p := facetParser{facet: f, of: field.Type, text: text}
	for more {
		var option string
		option, options, more = strings.Cut(options, ",")
		if err := p.option(option); err != nil {
			return nil, err
		}
	}
	return f, p.combination()
}

type facetParser struct {
	facet *Facet
	of    Type
	text  string
	given []string
}

func (p *facetParser) option(option string) error {
	name, value, _ := strings.Cut(option, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if p.has(name) {
		return p.bad("The option '" + quotable(name) + "' is given more than once")
	}
	p.given = append(p.given, name)
	switch name {
	case "count":
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < 1 {
			return p.bad("The value of 'count' must be a positive integer")
		}
		p.facet.Count = int(n)
		return nil
	case "sort":
		i := slices.Index([]string{"-count", "count", "value", "-value"}, value)
		if i < 0 {
			return p.bad("The value of 'sort' must be count, -count, value or -value")
		}
		// "count" is by count, descending; "-count" ascending.
		p.facet.Sort = [...]FacetSort{CountAsc, CountDesc, ValueAsc, ValueDesc}[i]
		return nil
	case "values":
		return p.values(value)
	case "interval":
		return p.interval(value)
	case "timeoffset":
		offset, ok := parseOffset(value)
		if !ok {
			return p.bad("The value of 'timeoffset' must be of the form [+-]hh:mm, [+-]hhmm or [+-]hh")
		}
		p.facet.Offset = offset
		return nil
	}
	return p.bad("The option '" + quotable(name) + "' is not supported")
}

func (p *facetParser) has(option string) bool { return slices.Contains(p.given, option) }

// values reads the bounds of ranges.
func (p *facetParser) values(list string) error {
	for text := range strings.SplitSeq(list, "|") {
		v, ok := facetValue(strings.TrimSpace(text), p.of)
		if !ok {
			return p.bad("The value '" + quotable(text) + "' is not valid for a field of type " + p.of.String())
		}
		if p.facet.Values = append(p.facet.Values, v); len(p.facet.Values) > maxFacetValues {
			return p.bad("There are more than " + strconv.Itoa(maxFacetValues) + " values")
		}
	}
	slices.SortFunc(p.facet.Values, func(a, b Value) int {
		return cmp.Or(cmp.Compare(a.Int, b.Int), cmp.Compare(a.Double, b.Double))
	})
	p.facet.Values = slices.Compact(p.facet.Values)
	return nil
}

func facetValue(text string, t Type) (Value, bool) {
	if t == DateType {
		ticks, ok := ParseDate(text)
		return Value{Kind: Date, Int: ticks}, ok
	}
	v, ok := ParseNumber(text)
	switch {
	case t == DoubleType && v.Kind == Int:
		return Value{Kind: Double, Double: float64(v.Int)}, ok
	case t == DoubleType:
		return v, ok && !math.IsNaN(v.Double)
	case t == Int32Type || t == Int64Type:
		return v, ok && v.Kind == Int
	}
	return v, false
}

func (p *facetParser) interval(value string) error {
	switch p.of {
	case DateType:
		units := []string{"minute", "hour", "day", "week", "month", "quarter", "year"}
		i := slices.Index(units, value)
		if i < 0 {
			return p.bad("The value of 'interval' must be one of " + strings.Join(units, ", "))
		}
		p.facet.Interval.Unit = Minute + Unit(i) //nolint:gosec // one of seven
		return nil
	case Int32Type, Int64Type, DoubleType:
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < 1 {
			return p.bad("The value of 'interval' must be a positive integer")
		}
		if p.of == DoubleType {
			p.facet.Interval.Double = float64(n)
		} else {
			p.facet.Interval.Int = n
		}
		return nil
	default:
		return p.bad("The option 'interval' is for numbers and dates, not for a field of type " + p.of.String())
	}
}

// combination checks which options go together.
func (p *facetParser) combination() error {
	ranges := p.has("values") || p.has("interval")
	switch {
	case p.has("values") && p.has("interval"):
		return p.bad("The options 'interval' and 'values' cannot be combined")
	case ranges && (p.has("count") || p.has("sort")):
		return p.bad("The options 'count' and 'sort' cannot be combined with 'interval' or 'values'")
	case p.has("timeoffset") && (p.of != DateType || !p.has("interval")):
		return p.bad("The option 'timeoffset' is for the option 'interval' of a date")
	}
	return nil
}

func (p *facetParser) bad(why string) error {
	return badRequest(paramFacet, "Invalid facet specification '"+quotable(p.text)+"'. "+why+".")
}

// parseOffset reads [+-]hh:mm, [+-]hhmm or [+-]hh.
func parseOffset(s string) (ticks int64, ok bool) {
	if s == "" || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	digits := strings.Replace(s[1:], ":", "", 1)
	if len(digits) == 2 && len(s) == 3 {
		digits += "00"
	}
	if len(digits) != 4 || len(s) == 6 && s[3] != ':' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n/100 > 23 || n%100 > 59 {
		return 0, false
	}
	ticks = int64(n/100*3600+n%100*60) * ticksPerSecond
	if s[0] == '-' {
		ticks = -ticks
	}
	return ticks, true
}
