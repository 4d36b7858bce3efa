// The second judge of the chaos: it reads the histories that FORMAT.md describes, shares no code with the library or
// with the first judge, and asks Porcupine whether they are those of a lock with fencing tokens and of a register.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const timeLimit = time.Minute

type line struct {
	Type     string `json:"type"`
	At       int64  `json:"at"`
	Term     int64  `json:"term"`
	Token    string `json:"token"`
	Id       int64  `json:"id"`
	Accepted bool   `json:"accepted"`
	Process  string `json:"process"`
	Reason   string `json:"reason"`
	By       string `json:"by"`
	Holder   string `json:"holder"`
	Refused  bool   `json:"refused"`
	Outcome  string `json:"outcome"`
}

type verdict struct {
	Result     string   `json:"result"`
	Operations int      `json:"operations"`
	Violations []string `json:"violations"`
}

type requestVerdict struct {
	verdict
	Counts requestCounts `json:"counts"`
}

// Made: written, or perhaps. Honoured and refused by processes; answered, void and unsure are what was learned of it.
type requestCounts struct {
	Made     int `json:"made"`
	Honoured int `json:"honoured"`
	Refused  int `json:"refused"`
	Answered int `json:"answered"`
	Void     int `json:"void"`
	Unsure   int `json:"unsure"`
	Again    int `json:"written again"`
}

type report struct {
	Lock     verdict        `json:"lock"`
	Register verdict        `json:"register"`
	Requests requestVerdict `json:"requests"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: chaos-judge <directory with the histories>")
		os.Exit(2)
	}
	histories, run, err := readRun(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	result := report{
		Lock:     judgeLock(histories, endsOf(run)),
		Register: judgeRegister(histories),
		Requests: judgeRequests(histories, run),
	}
	text, _ := json.Marshal(result)
	fmt.Println(string(text))
	if len(result.Lock.Violations)+len(result.Register.Violations)+len(result.Requests.Violations) > 0 {
		os.Exit(1)
	}
}

// --- reading

type history struct {
	process string
	lines   []line
}

// The histories of the processes, and that of the run.
func readRun(directory string) ([]history, []line, error) {
	files, err := filepath.Glob(filepath.Join(directory, "*.jsonl"))
	if err != nil {
		return nil, nil, err
	}
	var histories []history
	var run []line
	for _, file := range files {
		lines, err := readLines(file)
		if err != nil {
			return nil, nil, err
		}
		process := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		if process == "run" {
			run = lines
		} else {
			histories = append(histories, history{process, lines})
		}
	}
	if len(histories) == 0 {
		return nil, nil, fmt.Errorf("%s has no histories (*.jsonl)", directory)
	}
	return histories, run, nil
}

func endsOf(run []line) map[string]int64 {
	ends := map[string]int64{}
	for _, line := range run {
		if line.Type == "ended" {
			ends[line.Process] = line.At
		}
	}
	return ends
}

func readLines(file string) ([]line, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	content = content[:bytes.LastIndexByte(content, '\n')+1] // what follows was cut off
	var lines []line
	scanner := bufio.NewScanner(bytes.NewReader(content))
	scanner.Buffer(nil, 16<<20)
	for number := 1; scanner.Scan(); number++ {
		var read line
		if err := json.Unmarshal(scanner.Bytes(), &read); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, number, err)
		}
		lines = append(lines, read)
	}
	return lines, scanner.Err()
}

// --- the lock

type lockInput struct {
	releases bool
	process  string
	term     int64
	token    *big.Int
	// Which of all acquisitions in the order of their tokens. Tokens grow, so there is no other order to try.
	rank int
}

func (input lockInput) String() string {
	action := "acquires"
	if input.releases {
		action = "releases"
	}
	return fmt.Sprintf("%s %s term %d token %s", input.process, action, input.term, input.token)
}

type lockState struct {
	holder string
	token  string // of the last acquisition, also after its release
	rank   int
}

// A free lock can be acquired with a token that is higher than all before; its holder can release it.
var lockModel = porcupine.Model{
	Init: func() interface{} { return lockState{token: "-1"} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		held, asked := state.(lockState), input.(lockInput)
		if asked.releases {
			if held.holder != asked.process || held.token != asked.token.String() {
				return false, held
			}
			return true, lockState{token: held.token, rank: held.rank}
		}
		if held.holder != "" || asked.rank != held.rank+1 || asked.token.Cmp(number(held.token)) <= 0 {
			return false, held
		}
		return true, lockState{asked.process, asked.token.String(), asked.rank}
	},
}

// One term as its process told it. It was acquired before the first instant of belief and released after the last.
type term struct {
	number    int64
	token     *big.Int
	after     int64 // it was not acquired before this instant
	first     int64
	last      int64
	revokedAt int64
	isRevoked bool
	rank      int
}

func judgeLock(histories []history, ends map[string]int64) verdict {
	result := verdict{Result: "ok", Violations: []string{}}
	var operations []porcupine.Operation
	var all []*term
	termsByProcess := map[string][]*term{}
	for _, history := range histories {
		terms, violations := termsOf(history)
		result.Violations = append(result.Violations, violations...)
		termsByProcess[history.process] = terms
		all = append(all, terms...)
	}
	sort.SliceStable(all, func(a, b int) bool { return all[a].token.Cmp(all[b].token) < 0 })
	for index, term := range all {
		term.rank = index + 1
	}
	for client, history := range histories {
		for _, term := range termsByProcess[history.process] {
			operations = append(operations, acquisition(client, history.process, term))
			if release, exists := release(client, history.process, term, ends); exists {
				operations = append(operations, release)
			}
		}
	}
	result.Operations = len(operations)
	for _, operation := range operations {
		if operation.Return < operation.Call {
			result.Violations = append(result.Violations,
				fmt.Sprintf("%s, but considered itself leader later", operation.Input))
		}
	}
	if len(result.Violations) == 0 {
		result.Violations = append(result.Violations, check(lockModel, operations, "lock")...)
	}
	if len(result.Violations) > 0 {
		result.Result = "violated"
	}
	return result
}

func termsOf(history history) ([]*term, []string) {
	var terms []*term
	var violations []string
	byNumber := map[int64]*term{}
	var open *term
	previous := int64(math.MinInt64)
	for _, line := range history.lines {
		switch line.Type {
		case "granted":
			if open != nil {
				violations = append(violations, fmt.Sprintf(
					"%s was granted term %d, and term %d was never revoked", history.process, line.Term, open.number))
			}
			open = &term{number: line.Term, token: number(line.Token), after: previous, first: math.MaxInt64, last: previous}
			byNumber[line.Term] = open
			terms = append(terms, open)
		case "revoked":
			if open == nil || open.number != line.Term {
				violations = append(violations, fmt.Sprintf(
					"%s was revoked term %d, which it did not have", history.process, line.Term))
				continue
			}
			open.revokedAt, open.isRevoked = line.At, true
			open = nil
		case "believed":
			believed := byNumber[line.Term]
			if believed == nil {
				violations = append(violations, fmt.Sprintf(
					"%s considered itself leader in term %d, which it was never granted", history.process, line.Term))
				continue
			}
			believed.first = min(believed.first, line.At)
			believed.last = max(believed.last, line.At)
		case "tick":
			if open == nil || open.number != line.Term || open.token.Cmp(number(line.Token)) != 0 {
				violations = append(violations, fmt.Sprintf(
					"%s started a job in term %d, which it did not have", history.process, line.Term))
			}
		}
		previous = line.At
	}
	return terms, violations
}

func acquisition(client int, process string, term *term) porcupine.Operation {
	returned := term.first
	if returned == math.MaxInt64 && term.isRevoked {
		returned = term.revokedAt // It never looked.
	}
	return porcupine.Operation{
		ClientId: client,
		Input:    lockInput{process: process, term: term.number, token: term.token, rank: term.rank},
		Call:     term.after,
		Return:   returned,
	}
}

// A term ends with a word of its process, or with the process. Without either it is never over.
func release(client int, process string, term *term, ends map[string]int64) (porcupine.Operation, bool) {
	end, hasEnded := ends[process]
	if term.isRevoked {
		end = term.revokedAt
	} else if !hasEnded {
		return porcupine.Operation{}, false
	}
	return porcupine.Operation{
		ClientId: client,
		Input:    lockInput{releases: true, process: process, term: term.number, token: term.token},
		Call:     term.last,
		Return:   end,
	}, true
}

// --- requests to the leader (R27)

type request struct {
	term    int64
	holder  string
	outcome string
	// How often a process said that it heard it, and whether it refused.
	honoured int
	refused  int
}

// A leader heeds a request once, and only the holder and the term that it names do. Whoever asks learns of an answer, or
// that the term is over; and an answer is that of a leader that has heard it.
func judgeRequests(histories []history, run []line) requestVerdict {
	result := requestVerdict{verdict{Result: "ok", Violations: []string{}}, requestCounts{}}
	violate := func(format string, arguments ...interface{}) {
		result.Violations = append(result.Violations, fmt.Sprintf(format, arguments...))
	}
	requests := map[string]*request{}
	var order []string
	for _, line := range run {
		switch line.Type {
		case "requested":
			// Written again, by hand or as its write was lost, it is the same request.
			if known := requests[line.By]; known == nil {
				requests[line.By] = &request{term: line.Term, holder: line.Holder}
				order = append(order, line.By)
			} else if known.term != line.Term || known.holder != line.Holder {
				violate("%s asked %s in term %d, and then %s in term %d", line.By, known.holder, known.term, line.Holder, line.Term)
			} else if known.outcome != "" {
				result.Counts.Again++
			}
		case "request-ended":
			if known := requests[line.By]; known != nil {
				known.outcome = line.Outcome
			}
		}
	}
	for _, history := range histories {
		for _, violation := range heardIn(history, requests) {
			violate("%s", violation)
		}
	}
	for _, by := range order {
		asked := requests[by]
		result.Operations++
		result.Counts.Made++
		result.Counts.Honoured += min(asked.honoured, 1)
		result.Counts.Refused += min(asked.refused, 1)
		switch asked.outcome {
		case "done", "refused":
			result.Counts.Answered++
		case "void":
			result.Counts.Void++
		case "not-made":
			result.Counts.Unsure++
		}
		if asked.honoured+asked.refused > 1 {
			violate("%s was heard %d times: honoured %d, refused %d", by, asked.honoured+asked.refused, asked.honoured, asked.refused)
		}
		switch {
		case asked.outcome == "unanswered":
			violate("%s had no answer of %s, though term %d was not over", by, asked.holder, asked.term)
		case asked.outcome == "done" && asked.honoured == 0, asked.outcome == "refused" && asked.refused == 0:
			violate("%s was told %q, and %s has not heard it", by, asked.outcome, asked.holder)
		}
	}
	if len(result.Violations) > 0 {
		result.Result = "violated"
	}
	return result
}

// What a process did about requests, which it also counts.
func heardIn(history history, requests map[string]*request) []string {
	var violations []string
	violate := func(format string, arguments ...interface{}) {
		violations = append(violations, history.process+" "+fmt.Sprintf(format, arguments...))
	}
	// The present term, or that before the next; 0: none yet.
	var open, latest int64
	given := map[int64]string{}
	for _, line := range history.lines {
		switch line.Type {
		case "granted":
			open, latest = line.Term, line.Term
			if by, isGiven := given[line.Term]; isGiven {
				violate("was granted term %d, which it had given up for %s", line.Term, by)
			}
		case "revoked":
			open = 0
		case "believed":
			if by, isGiven := given[line.Term]; isGiven {
				violate("considered itself leader in term %d, which it had given up for %s", line.Term, by)
			}
		case "heard":
			asked := requests[line.By]
			if asked == nil {
				violate("heard %q, which nobody asked", line.By)
				continue
			}
			if line.Refused {
				asked.refused++
			} else {
				asked.honoured++
				given[asked.term] = line.By
			}
			// Between two terms it may drain the last one, or have the next one and not know it yet.
			isItsTerm := asked.term == open || open == 0 && asked.term >= latest
			if asked.holder != history.process || !isItsTerm {
				violate("heard %s, which was meant for %s in term %d", line.By, asked.holder, asked.term)
			}
		}
	}
	return violations
}

// --- the register

type registerInput struct {
	writes  bool
	process string
	token   string
}

type registerOutput struct {
	isKnown  bool
	accepted bool
	process  string
	token    string
}

type registerState struct {
	token   string
	process string
}

func stepRegister(state, input, output interface{}) (bool, interface{}) {
	held, asked, told := state.(registerState), input.(registerInput), output.(registerOutput)
	if !asked.writes {
		return told.token == held.token && told.process == held.process, held
	}
	accepted := number(asked.token).Cmp(number(held.token)) >= 0
	if told.isKnown && told.accepted != accepted {
		return false, held
	}
	if accepted {
		return true, registerState{asked.token, asked.process}
	}
	return true, held
}

func describeRegister(input registerInput, output registerOutput) string {
	if !input.writes {
		return fmt.Sprintf("%s reads token %s of %s", input.process, output.token, output.process)
	}
	if !output.isKnown {
		return fmt.Sprintf("%s writes token %s, without an answer", input.process, input.token)
	}
	return fmt.Sprintf("%s writes token %s, accepted: %t", input.process, input.token, output.accepted)
}

// Porcupine's memory grows with the square of a history's length. It is cut where nothing is under way and what the
// register holds is certain: after an accepted write that overlaps nothing. Writes without an answer may take effect at
// any time later, so they go with every part after them.
const leastPart = 500

func judgeRegister(histories []history) verdict {
	result := verdict{Result: "ok", Violations: []string{}}
	var known, open []porcupine.Operation
	for client, history := range histories {
		one, other := registerOperations(client, history)
		known, open = append(known, one...), append(open, other...)
	}
	result.Operations = len(known) + len(open)
	sort.SliceStable(known, func(a, b int) bool { return known[a].Call < known[b].Call })
	initial := registerState{token: "-1"}
	var part []porcupine.Operation
	latest := int64(math.MinInt64)
	begun := 0
	sort.SliceStable(open, func(a, b int) bool { return open[a].Call < open[b].Call })
	for index, operation := range known {
		isAlone := operation.Call > latest && (index+1 == len(known) || known[index+1].Call > operation.Return)
		part = append(part, operation)
		latest = max(latest, operation.Return)
		input, output := operation.Input.(registerInput), operation.Output.(registerOutput)
		isLast := index+1 == len(known)
		for begun < len(open) && (isLast || open[begun].Call <= operation.Return) {
			begun++
		}
		isCertain := isAlone && input.writes && output.accepted
		if !isLast && !(isCertain && len(part) >= leastPart) {
			continue
		}
		model := porcupine.Model{
			Init: func() interface{} { return initial },
			Step: stepRegister,
			DescribeOperation: func(input, output interface{}) string {
				return describeRegister(input.(registerInput), output.(registerOutput))
			},
		}
		operations := append(append([]porcupine.Operation{}, part...), effective(open[:begun], initial)...)
		result.Violations = append(result.Violations, check(model, operations, "register")...)
		initial, part = registerState{input.token, input.process}, nil
	}
	if len(result.Violations) > 0 {
		result.Result = "violated"
	}
	return result
}

// Tokens of the register never fall, so what is lower than its present one cannot take effect any more.
func effective(open []porcupine.Operation, held registerState) (effective []porcupine.Operation) {
	for _, operation := range open {
		if number(operation.Input.(registerInput).token).Cmp(number(held.token)) > 0 {
			effective = append(effective, operation)
		}
	}
	return effective
}

func registerOperations(client int, history history) (known, open []porcupine.Operation) {
	begun := map[int64]porcupine.Operation{}
	var order []int64
	for _, line := range history.lines {
		switch line.Type {
		case "write", "read":
			begun[line.Id] = porcupine.Operation{
				ClientId: client,
				Input:    registerInput{writes: line.Type == "write", process: history.process, token: line.Token},
				Call:     line.At,
				Output:   registerOutput{},
				Return:   math.MaxInt64,
			}
			order = append(order, line.Id)
		case "written", "was":
			operation := begun[line.Id]
			operation.Return = line.At
			operation.Output = registerOutput{true, line.Accepted, line.Process, line.Token}
			begun[line.Id] = operation
		}
	}
	for _, id := range order {
		operation := begun[id]
		if operation.Return != math.MaxInt64 {
			known = append(known, operation)
		} else if operation.Input.(registerInput).writes {
			open = append(open, operation)
		}
	}
	return known, open
}

// --- both

func check(model porcupine.Model, operations []porcupine.Operation, what string) []string {
	switch porcupine.CheckOperationsTimeout(model, operations, timeLimit) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return []string{fmt.Sprintf("the %s could not be judged within %s", what, timeLimit)}
	}
	_, info := porcupine.CheckOperationsVerbose(model, operations, timeLimit)
	return []string{fmt.Sprintf("not a history of a %s: %s", what, firstThatFitsNowhere(model, operations, info))}
}

// The operations that no longest order of the others can be continued with, the earliest first.
func firstThatFitsNowhere(model porcupine.Model, operations []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []int
	for _, partition := range info.PartialLinearizations() {
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	placed := map[int]bool{}
	for _, index := range longest {
		placed[index] = true
	}
	var left []porcupine.Operation
	for index, operation := range operations {
		if !placed[index] {
			left = append(left, operation)
		}
	}
	sort.SliceStable(left, func(a, b int) bool { return left[a].Return < left[b].Return })
	shown := make([]string, 0, 3)
	for _, operation := range left[:min(3, len(left))] {
		shown = append(shown, describe(model, operation))
	}
	return fmt.Sprintf("%d of %d operations can be ordered, then not: %s", len(longest), len(operations), strings.Join(shown, "; "))
}

func describe(model porcupine.Model, operation porcupine.Operation) string {
	text := fmt.Sprint(operation.Input)
	if model.DescribeOperation != nil {
		text = model.DescribeOperation(operation.Input, operation.Output)
	}
	return fmt.Sprintf("%s [%d, %d]", text, operation.Call, operation.Return)
}

func number(text string) *big.Int {
	value, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return big.NewInt(-1)
	}
	return value
}
