// SPDX-License-Identifier: Apache-2.0

// Package report is what both peers do with a report, so that they differ in their HTTP server
// alone: the same fields, rules and answers as trialwire's. A report that is right takes the fast
// path, one json.Unmarshal into a struct; only one that is wrong is read again field by field, to
// name every bad field at once.
package report

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	idBytesMax       = 64
	siteBytesMax     = 255
	commentsBytesMax = 4096
	answersMax       = 200
	scoreMax         = 10
)

// Report is a patient's report; pointers tell "missing" from "zero".
type Report struct {
	PatientID         *string        `json:"patientId"`
	TrialID           *string        `json:"trialId"`
	Timestamp         *string        `json:"timestamp"`
	QolScore          *int64         `json:"qolScore"`
	Comments          *string        `json:"comments"`
	SiteID            *string        `json:"siteId"`
	ReportID          *string        `json:"reportId"`
	Instrument        *string        `json:"instrument"`
	InstrumentVersion *string        `json:"instrumentVersion"`
	VisitID           *string        `json:"visitId"`
	Answers           map[string]any `json:"answers"`
}

// Receipt names a stored report; the peers store nothing and count.
type Receipt struct {
	RecordID string `json:"recordId"`
	Sequence uint64 `json:"sequence"`
}

// Accepted is the answer to a report.
type Accepted struct {
	Status  string  `json:"status"`
	Message string  `json:"message"`
	Receipt Receipt `json:"receipt"`
}

// BatchReceipt names the reports of an NDJSON body.
type BatchReceipt struct {
	FirstSequence uint64 `json:"firstSequence"`
	Count         uint64 `json:"count"`
}

// BatchAccepted is the answer to an NDJSON body.
type BatchAccepted struct {
	Accepted uint64       `json:"accepted"`
	Rejected []LineError  `json:"rejected"`
	Receipt  BatchReceipt `json:"receipt"`
}

// LineError is one rejected line.
type LineError struct {
	Line int `json:"line"`
	FieldError
}

// Problem is RFC 9457's problem with the bad fields.
type Problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Error  string       `json:"error"`
	Errors []FieldError `json:"errors"`
}

// FieldError is what is wrong with one field.
type FieldError struct {
	Field   string `json:"field"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

var sequence atomic.Uint64

// Receive checks one body: the answer, or what is wrong with it.
func Receive(body []byte) (Accepted, *Problem) {
	report, errs := Read(body)
	if len(errs) > 0 {
		return Accepted{}, problem(errs)
	}
	next := sequence.Add(1)
	return Accepted{
		Status:  "success",
		Message: "Report for patient " + *report.PatientID + " received.",
		Receipt: Receipt{RecordID: recordID(next), Sequence: next},
	}, nil
}

// ReceiveLines checks a body of one report a line.
func ReceiveLines(body []byte) (BatchAccepted, *Problem) {
	answer := BatchAccepted{Rejected: []LineError{}}
	line := 0
	for len(body) > 0 {
		var one []byte
		one, body = cutLine(body)
		line++
		if len(one) == 0 {
			continue
		}
		if _, errs := Read(one); len(errs) > 0 {
			answer.Rejected = append(answer.Rejected, LineError{line, errs[0]})
			continue
		}
		answer.Accepted++
	}
	if answer.Accepted == 0 {
		return answer, problem([]FieldError{{"", "syntax", "no line was accepted"}})
	}
	last := sequence.Add(answer.Accepted)
	answer.Receipt = BatchReceipt{FirstSequence: last - answer.Accepted + 1, Count: answer.Accepted}
	return answer, nil
}

// Read is the report in one JSON object, or every field error.
func Read(body []byte) (Report, []FieldError) {
	var report Report
	if err := json.Unmarshal(body, &report); err != nil || !valid(&report) {
		return readSlowly(body)
	}
	return report, nil
}

func valid(r *Report) bool {
	if !isID(r.PatientID) || !isID(r.TrialID) || r.Timestamp == nil || r.QolScore == nil {
		return false
	}
	if _, err := time.Parse(time.RFC3339, *r.Timestamp); err != nil {
		return false
	}
	if *r.QolScore < 0 || *r.QolScore > scoreMax || len(r.Answers) > answersMax {
		return false
	}
	if !within(r.Comments, commentsBytesMax) || !within(r.SiteID, siteBytesMax) ||
		!within(r.ReportID, idBytesMax) || !within(r.Instrument, idBytesMax) ||
		!within(r.InstrumentVersion, idBytesMax) || !within(r.VisitID, idBytesMax) {
		return false
	}
	for _, answer := range r.Answers {
		if !isAnswer(answer) {
			return false
		}
	}
	return true
}

func isID(text *string) bool { return text != nil && len(*text) > 0 && len(*text) <= idBytesMax }

func within(text *string, max int) bool { return text == nil || len(*text) <= max }

func isAnswer(value any) bool {
	switch v := value.(type) {
	case string:
		return len(v) <= commentsBytesMax
	case float64:
		return v == float64(int64(v))
	}
	return false
}

func recordID(sequence uint64) string {
	id := []byte("01934c5e-0000-8000-8000-000000000000")
	for at := len(id) - 1; sequence > 0; at-- {
		id[at] = byte('0' + sequence%10)
		sequence /= 10
	}
	return string(id)
}

func problem(errs []FieldError) *Problem {
	summary := errs[0].Message
	if errs[0].Field != "" {
		summary = errs[0].Field + ": " + summary
	}
	if len(errs) > 1 {
		summary += fmt.Sprintf(" (and %d more)", len(errs)-1)
	}
	return &Problem{"about:blank", "Bad Request", 400, summary, errs}
}

func cutLine(body []byte) ([]byte, []byte) {
	for i, c := range body {
		if c == '\n' {
			return body[:i], body[i+1:]
		}
	}
	return body, nil
}
