package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// The types that need a rule of their own.
//
// https://learn.microsoft.com/rest/api/searchservice/supported-data-types
const (
	typeString  = "Edm.String"
	typeComplex = "Edm.ComplexType"
)

// scalar checks a value that is neither a string nor complex. A type that is not known here is left to the service.
func scalar(kind string, raw []byte) error {
	switch kind {
	case "Edm.Int32":
		return integer(raw, 32)
	case "Edm.Int64":
		return integer(raw, 64)
	case "Edm.Int16":
		return integer(raw, 16)
	case "Edm.SByte":
		return integer(raw, 8)
	case "Edm.Byte":
		if n, err := strconv.ParseUint(string(raw), 10, 8); err != nil || n > math.MaxUint8 {
			return fmt.Errorf("%s, want a whole number from 0 to 255", clip(string(raw)))
		}
	case "Edm.Double", "Edm.Single", "Edm.Half":
		return double(raw)
	case "Edm.Boolean":
		if s := string(raw); s != "true" && s != "false" {
			return fmt.Errorf("%s, want true or false", clip(s))
		}
	case "Edm.DateTimeOffset":
		return date(raw)
	case "Edm.GeographyPoint":
		return point(raw)
	}
	return nil
}

func integer(raw []byte, bits int) error {
	if _, err := strconv.ParseInt(string(raw), 10, bits); err != nil {
		return fmt.Errorf("%s, want a whole number of %d bits", clip(string(raw)), bits)
	}
	return nil
}

func double(raw []byte) error {
	switch string(raw) {
	case `"NaN"`, `"INF"`, `"-INF"`:
		return nil
	}
	if raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' {
		if _, err := strconv.ParseFloat(string(raw), 64); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s, want a number", clip(string(raw)))
}

func date(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		if _, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s, want a date with an offset, such as \"2026-11-28T09:00:00Z\"", clip(string(raw)))
}

func point(raw []byte) error {
	var p struct {
		Type        string    `json:"type"`
		Coordinates []float64 `json:"coordinates"`
	}
	if json.Unmarshal(raw, &p) != nil || p.Type != "Point" || len(p.Coordinates) != 2 || math.Abs(p.Coordinates[0]) > 180 || math.Abs(p.Coordinates[1]) > 90 {
		return errors.New(`want {"type":"Point","coordinates":[longitude,latitude]}`)
	}
	return nil
}
