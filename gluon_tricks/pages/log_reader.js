"use strict";
/* Reads the epochs of a log, of this kit or of GluonCV's classification scripts.

   readLog(text, grammar) -> { style, header, epochs: [{ epoch, metric, train, val1, val5 }] }

   The grammar holds the regular expressions of gluon_tricks/log_lines, which wrote the log's lines or would have.
   Figures are fractions: `train` is the printed metric, `val1` and `val5` are validation accuracies, top-1 and top-5.
*/
const readLog = (() => {
  // Kind of line -> its figures on its epoch. Other kinds only say that their epoch has begun.
  const FACTS = {
    cifar_epoch: (line) => ({ train: +line.train, val1: +line.val }),
    imagenet_batch: (line) => ({ metric: line.metric }),
    imagenet_train: (line) => ({ metric: line.metric, train: +line.value }),
    imagenet_val: (line) => ({ val1: 1 - line.err_top1, val5: 1 - line.err_top5 }),
    hvd_batch: (line) => ({ metric: line.metric }),
    hvd_epoch: (line) => ({ train: +line.value }),
    hvd_val: (line) => ({ val1: +line.top1, val5: +line.top5 }),
  };

  // Only GluonCV's mixup script has logging_dir and no mixup
  function cifarMetric(header) {
    const mixup = /[( ]mixup=(True|False)/.exec(header);
    return (mixup ? mixup[1] === "True" : /[( ]logging_dir=/.test(header)) ? "rmse" : "accuracy";
  }

  // Lines of a new attempt, and those that go back, replace what was there of their epoch and of later ones
  function add(records, attempt, kind, line, header) {
    const epoch = +line.epoch;
    const newest = records[records.length - 1];
    const isSame = newest && newest.epoch === epoch && newest.attempt === attempt && kind !== "cifar_epoch";
    if (!isSame) {
      while (records.length && records[records.length - 1].epoch >= epoch) records.pop();
      records.push({ epoch, attempt, metric: cifarMetric(header) });
    }
    const facts = kind in FACTS ? FACTS[kind](line) : {};
    Object.assign(records[records.length - 1], facts);
  }

  return (text, grammar) => {
    const prefix = new RegExp(`^${grammar.prefix}`);
    const escapes = new RegExp(grammar.escapes, "g");
    const kinds = Object.entries(grammar.lines).map(([kind, pattern]) => [kind, new RegExp(`^(?:${pattern})$`)]);
    const records = [];
    let [header, newestHeader, attempt, style] = ["", "", 0, ""];
    for (const raw of text.split(/\r\n|\r|\n/)) {
      const line = raw.replace(escapes, "").replace(prefix, "").trim();
      if (line.startsWith("Namespace(") && line.endsWith(")")) {
        newestHeader = line;
        attempt += 1;
        continue;
      }
      for (const [kind, pattern] of kinds) {
        const match = pattern.exec(line);
        if (!match) continue;
        header = newestHeader;
        style = style || (kind === "cifar_epoch" ? "cifar10" : "imagenet");
        add(records, attempt, kind, match.groups, header);
        break;
      }
    }
    return { style, header, epochs: records.filter((record) => record.train !== undefined) };
  };
})();
