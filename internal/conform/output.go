package conform

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// WriteLine writes a result as one line of text: verdict, id, what the specification says, what was seen.
func WriteLine(w io.Writer, r Result) error {
	_, err := fmt.Fprintf(w, "%-4s  %-36s  %s  [%s]\n", r.Verdict, r.ID, r.Spec, r.Seen)
	return err
}

// Summary says in one line what came of all checks.
func (r *Report) Summary() string {
	return fmt.Sprintf("%d checks: %d passed, %d failed, %d skipped", len(r.Results), r.Count(Pass), r.Count(Fail), r.Count(Skip))
}

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		*Report
		Passed  int `json:"passed"`
		Failed  int `json:"failed"`
		Skipped int `json:"skipped"`
	}{r, r.Count(Pass), r.Count(Fail), r.Count(Skip)})
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"timestamp,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Seconds float64       `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report as JUnit's XML, which CI systems read.
func (r *Report) WriteJUnit(w io.Writer) error {
	suite := junitSuite{
		Name: "onbehalf conform " + r.URL, Tests: len(r.Results), Failures: r.Count(Fail), Skipped: r.Count(Skip),
		Time: r.Start.UTC().Format("2006-01-02T15:04:05"),
	}
	for _, result := range r.Results {
		class, name, _ := strings.Cut(result.ID, ".")
		c := junitCase{Class: "conform." + class, Name: name, Seconds: result.Took.Seconds()}
		switch result.Verdict {
		case Fail:
			c.Failure = &junitMessage{result.Seen, result.Spec}
		case Skip:
			c.Skipped = &junitMessage{Message: result.Seen}
		case Pass:
			c.Out = result.Seen
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
