// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

type fieldRule struct {
	name     string
	required bool
	check    func(json.RawMessage) *FieldError
}

var rules = []fieldRule{
	{"patientId", true, text("patientId", 1, idBytesMax)},
	{"trialId", true, text("trialId", 1, idBytesMax)},
	{"timestamp", true, instant},
	{"qolScore", true, score},
	{"comments", false, text("comments", 0, commentsBytesMax)},
	{"siteId", false, text("siteId", 0, siteBytesMax)},
	{"reportId", false, text("reportId", 0, idBytesMax)},
	{"answers", false, answers},
	{"instrument", false, text("instrument", 0, idBytesMax)},
	{"instrumentVersion", false, text("instrumentVersion", 0, idBytesMax)},
	{"visitId", false, text("visitId", 0, idBytesMax)},
}

// readSlowly names every bad field. What only the fast path's types refuse, like 7.0, passes.
func readSlowly(body []byte) (Report, []FieldError) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return Report{}, []FieldError{{"", "syntax", "is not one JSON object"}}
	}
	var errs []FieldError
	for _, rule := range rules {
		value, given := fields[rule.name]
		if !given || bytes.Equal(value, []byte("null")) {
			if rule.required {
				errs = append(errs, FieldError{rule.name, "required", "is required"})
			}
			continue
		}
		if err := rule.check(value); err != nil {
			errs = append(errs, *err)
		}
	}
	if len(errs) > 0 {
		return Report{}, errs
	}
	var patient string
	_ = json.Unmarshal(fields["patientId"], &patient)
	return Report{PatientID: &patient}, nil
}

func text(field string, min, max int) func(json.RawMessage) *FieldError {
	return func(value json.RawMessage) *FieldError {
		var written string
		if json.Unmarshal(value, &written) != nil {
			return &FieldError{field, "type", "must be a string"}
		}
		if len(written) >= min && len(written) <= max {
			return nil
		}
		if min == 0 {
			return &FieldError{field, "length", fmt.Sprintf("must be at most %d bytes", max)}
		}
		return &FieldError{field, "length", fmt.Sprintf("must be %d to %d bytes", min, max)}
	}
}

func instant(value json.RawMessage) *FieldError {
	var written string
	if json.Unmarshal(value, &written) != nil {
		return &FieldError{"timestamp", "type",
			"must be an RFC 3339 date and time with offset, as a string"}
	}
	if _, err := time.Parse(time.RFC3339, written); err != nil {
		return &FieldError{"timestamp", "format", "must be an RFC 3339 date and time with offset"}
	}
	return nil
}

func score(value json.RawMessage) *FieldError {
	var number float64
	message := fmt.Sprintf("must be an integer from 0 to %d", scoreMax)
	if json.Unmarshal(value, &number) != nil || number != math.Trunc(number) {
		return &FieldError{"qolScore", "type", message}
	}
	if number < 0 || number > scoreMax {
		return &FieldError{"qolScore", "range", message}
	}
	return nil
}

func answers(value json.RawMessage) *FieldError {
	var items map[string]any
	if json.Unmarshal(value, &items) != nil {
		return &FieldError{"answers", "type", "must be an object"}
	}
	if len(items) > answersMax {
		return &FieldError{"answers", "length", fmt.Sprintf("must have at most %d items", answersMax)}
	}
	for _, answer := range items {
		if !isAnswer(answer) {
			return &FieldError{"answers", "type", "an item must be an integer or a string"}
		}
	}
	return nil
}
