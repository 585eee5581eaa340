package searchengine

import (
	"math"
	"time"

	"github.com/onbehalf/onbehalf/search/searchengine/internal/odata"
)

// floorTo returns the largest multiple of width that is not above v.
func floorTo(v, width int64) int64 {
	rest := v % width
	if rest < 0 {
		rest += width
	}
	if v < math.MinInt64+rest {
		return math.MinInt64 // the multiple is below all integers
	}
	return v - rest
}

// dateFloor returns what brings a date back to the beginning of its minute, hour, day and so on, in the zone that is so
// many ticks east of UTC.
func dateFloor(unit odata.Unit, offset int64) func(ticks int64) int64 {
	width := int64(0)
	switch unit {
	case odata.Minute:
		width = 60 * ticksPerSecond
	case odata.Hour:
		width = 60 * 60 * ticksPerSecond
	case odata.Day:
		width = 24 * 60 * 60 * ticksPerSecond
	case odata.Week: // the first day of the year 1 was a Monday
		width = 7 * 24 * 60 * 60 * ticksPerSecond
	default:
		return func(ticks int64) int64 { return calendarFloor(unit, ticks+offset) - offset }
	}
	return func(ticks int64) int64 { return floorTo(ticks+offset, width) - offset }
}

// calendarFloor is for the units that differ in length.
func calendarFloor(unit odata.Unit, ticks int64) int64 {
	t := odata.Time(ticks)
	month := t.Month()
	switch unit {
	case odata.Quarter:
		month -= (month - 1) % 3
	case odata.Year:
		month = time.January
	default: // Month
	}
	return odata.Ticks(time.Date(t.Year(), month, 1, 0, 0, 0, 0, time.UTC))
}

// formatBound writes a bound of a range of dates as the service was recorded to do, unlike other dates.
func formatBound(ticks int64) []byte {
	return odata.Time(ticks).AppendFormat(nil, `"2006-01-02T15:04:05.000-0700"`)
}
