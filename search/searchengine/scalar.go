package searchengine

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/column"
	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

// readString reads a JSON string, and returns it as JSON that is valid UTF-8.
func readString(raw []byte) (s string, stored []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), raw, true
	}
	if json.Unmarshal(raw, &s) != nil {
		return "", nil, false
	}
	return s, quote(s), true
}

// quote writes a string as JSON, without escapes that only HTML needs.
func quote(s string) []byte {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes, into memory
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// readScalar reads a number, date or Boolean, and returns the JSON that the service answers with.
func readScalar(t odata.Type, raw []byte) (v column.Value, stored []byte, ok bool) {
	v.Set = true
	switch t {
	case odata.Int32Type, odata.Int64Type:
		bits := 64
		if t == odata.Int32Type {
			bits = 32
		}
		n, err := strconv.ParseInt(string(raw), 10, bits)
		v.Int = n
		return v, strconv.AppendInt(nil, n, 10), err == nil
	case odata.DoubleType:
		v.Float, ok = readDouble(raw)
		return v, formatDouble(v.Float), ok
	case odata.BooleanType:
		v.Bool = string(raw) == "true"
		return v, raw, v.Bool || string(raw) == "false"
	case odata.DateType:
		s, _, isString := readString(raw)
		if !isString {
			return v, nil, false
		}
		v.Int, ok = readDate(s)
		return v, formatDate(v.Int), ok
	default:
		return v, nil, false
	}
}

func readDouble(raw []byte) (float64, bool) {
	switch string(raw) {
	case `"NaN"`:
		return math.NaN(), true
	case `"INF"`:
		return math.Inf(1), true
	case `"-INF"`:
		return math.Inf(-1), true
	}
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}

// formatDouble writes a double as the service does: 5.0, 9.69, "NaN", "INF".
func formatDouble(f float64) []byte {
	switch {
	case math.IsNaN(f):
		return []byte(`"NaN"`)
	case math.IsInf(f, 1):
		return []byte(`"INF"`)
	case math.IsInf(f, -1):
		return []byte(`"-INF"`)
	}
	out, err := json.Marshal(f)
	if err != nil {
		return []byte("null")
	}
	if !bytes.ContainsAny(out, ".e") {
		out = append(out, ".0"...)
	}
	return out
}

// Dates are counted in ticks of 100 ns since 0001-01-01T00:00:00Z, up to the end of the year 9999.
const (
	ticksPerSecond = 10_000_000
	unixSeconds    = 62_135_596_800 // from the year 1 to 1970
)

func readDate(s string) (ticks int64, ok bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, false
	}
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return 0, false
	}
	return (t.Unix()+unixSeconds)*ticksPerSecond + int64(t.Nanosecond()/100), true
}

// formatDate writes a date as JSON in UTC, with as many decimals as it needs.
func formatDate(ticks int64) []byte {
	t := time.Unix(ticks/ticksPerSecond-unixSeconds, ticks%ticksPerSecond*100).UTC()
	return t.AppendFormat(nil, `"2006-01-02T15:04:05.9999999Z"`)
}
