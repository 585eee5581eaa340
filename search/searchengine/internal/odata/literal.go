package odata

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is how fine a Date is: 100 ns.
const ticksPerSecond = 10_000_000

// Ticks is t in the unit of a Date: 100 ns ticks since 0001-01-01T00:00:00Z.
func Ticks(t time.Time) int64 {
	return (t.Unix()-yearOne().Unix())*ticksPerSecond + int64(t.Nanosecond())/100
}

// Time is the inverse of [Ticks].
func Time(ticks int64) time.Time {
	seconds := ticks / ticksPerSecond
	if ticks%ticksPerSecond < 0 {
		seconds--
	}
	return time.Unix(yearOne().Unix()+seconds, (ticks-seconds*ticksPerSecond)*100).UTC()
}

func yearOne() time.Time { return time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC) }

// ParseDate reads a DateTimeOffset of the years 1 to 9999, as in 2015-01-01T00:00:00Z. Seconds, their fraction and what
// it has beyond 100 ns may be left out; Z or an offset may not.
func ParseDate(s string) (ticks int64, ok bool) {
	if len(s) < len("2006-01-02T15:04Z") || s[13] != ':' {
		return 0, false
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			if year := t.UTC().Year(); year < 1 || year > 9999 || strings.Contains(s, ",") {
				return 0, false
			}
			return Ticks(t), true
		}
	}
	return 0, false
}

// ParseNumber reads an Int or a Double: 42, -1.5e3, NaN, INF, -INF.
func ParseNumber(s string) (Value, bool) {
	switch s {
	case "NaN":
		return Value{Kind: Double, Double: math.NaN()}, true
	case "INF":
		return Value{Kind: Double, Double: math.Inf(1)}, true
	case "-INF":
		return Value{Kind: Double, Double: math.Inf(-1)}, true
	}
	for i := range len(s) {
		if !isDigit(s[i]) && !strings.Contains("+-.eE", s[i:i+1]) {
			return Value{}, false
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Value{Kind: Int, Int: n}, true
	}
	f, err := strconv.ParseFloat(s, 64)
	return Value{Kind: Double, Double: f}, err == nil
}

// looksLikeDate tells a malformed date from a malformed number.
func looksLikeDate(s string) bool {
	return len(s) > 4 && strings.Contains(s[1:], "-") && !strings.ContainsAny(s, "eE")
}

// typeName is the type of a literal in the service's words.
func (v Value) typeName() string {
	switch v.Kind {
	case Boolean:
		return "Edm.Boolean"
	case Int:
		if v.Int < math.MinInt32 || v.Int > math.MaxInt32 {
			return "Edm.Int64"
		}
		return "Edm.Int32"
	case Double:
		return "Edm.Double"
	case String:
		return "Edm.String"
	case Date:
		return "Edm.DateTimeOffset"
	case Geography:
		return "Edm.GeographyPoint"
	default:
		return "null"
	}
}
