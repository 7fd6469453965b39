// The conformance component: every function of the contract, in JavaScript.
// ../README.md says what it does; the other languages do exactly the same.

import * as steps from 'darkroom:component/steps@0.1.0';
import * as inputs from 'darkroom:component/inputs@0.1.0';
import * as machine from 'darkroom:component/machine@0.1.0';
import * as report from 'darkroom:component/report@0.1.0';

export const about = {
  describe() {
    return JSON.stringify({
      summary: 'Does everything that a component can do',
      parameters: {
        type: 'object',
        properties: {
          greeting: { type: 'string', default: 'hello' },
          packages: { type: 'array', items: { type: 'string' } },
          count: { type: 'integer', default: 3 },
          slice: { type: 'integer', default: 8 },
          ratio: { type: 'number', default: 0.5 },
          loud: { type: 'boolean', default: false },
          settings: { type: 'object', additionalProperties: { type: 'string' } },
          token: { type: 'string', secret: true },
          fail: { type: 'string', default: '' },
        },
      },
      volatile: true,
      internet: true,
    });
  },
};

export const builder = {
  build() {
    const greeting = inputs.text('greeting');
    report.info(
      `${machine.distribution()} ${machine.release()} on ${machine.architecture()}, ` +
        `root ${machine.root()}`,
    );
    report.debug(inputs.jsonObject());
    if (machine.family() === 'windows') {
      windows(greeting);
      return;
    }

    const look = steps.shell('look around', 'cat /etc/os-release');
    const page = steps.write('write the page', '/srv/page.html', `${greeting}\n`);
    steps.mode(page, 0o640);
    steps.owner(page, 'www-data:www-data');
    steps.attempts(page, 2);
    const tool = steps.output(look).includes('ID=debian') ? 'apt-get' : 'dnf';
    fail(inputs.text('fail'), look);

    const install = steps.shell('install', `${tool} install -y -- "$@"`);
    for (const name of inputs.texts('packages')) steps.argument(install, name);
    steps.environment(install, 'DEBIAN_FRONTEND', 'noninteractive');
    steps.runAs(install, 'builder');
    steps.directory(install, '/opt');
    steps.timeout(install, 900);
    steps.attempts(install, 3);
    steps.expectExitCodes(install, [0, 100]);
    steps.expectOutput(install, 'done');
    steps.expectNoOutput(install, 'E:');
    steps.expectMatch(install, '(?i)set up [0-9]+ packages?');
    const token = inputs.text('token');
    if (token != null) {
      steps.environment(install, 'TOKEN', token);
      const file = steps.write('write the token', '/etc/app/token', `token=${token}\n`);
      steps.mode(file, 0o600);
    }
    steps.writeBytes('write bytes', '/srv/bytes', Uint8Array.from({ length: 256 }, (_, i) => i));
    steps.writeAsset('write the asset', '/srv/note.txt', 'note.txt');
    const archive = steps.download(
      'fetch the archive',
      '/srv/archive',
      'https://mirror.example/archive.tar.gz',
      '0123456789abcdef'.repeat(4),
    );
    steps.timeout(archive, 60);

    const may = steps.shell('may fail', 'exit 3');
    steps.tolerate(may);
    if (!steps.succeeded(may)) {
      report.warning(`it failed with ${steps.exitCode(may)}`);
    }
    const restart = steps.reboot('restart');
    steps.timeout(restart, 300);

    const log = steps.collect('keep the log', '/var/log/app.log', 4 << 20);
    let total = 0;
    let sum = 0;
    while (total < steps.size(log)) {
      const bytes = steps.read(log, total, inputs.integer('slice'));
      total += bytes.length;
      sum = bytes.reduce((all, byte) => all + byte, sum);
    }

    const items = [];
    for (let item = 1; item <= inputs.integer('count'); item += 1) {
      items.push(steps.output(steps.shell(`item ${item}`, `echo ${item}`)));
    }
    const settings = inputs.jsonText('settings');
    if (settings != null) {
      steps.write('write the settings', '/etc/app/settings.json', settings);
    }
    if (inputs.flag('loud')) {
      const shout = steps.shell('shout', 'echo "$GREETING! $PERCENT%"');
      steps.environment(shout, 'GREETING', greeting);
      steps.environment(shout, 'PERCENT', (inputs.number('ratio') * 100).toFixed());
    }
    report.publishText('tool', tool);
    report.publish('bytes', JSON.stringify(total));
    report.publish('sum', JSON.stringify(sum));
    report.publish('items', `[${items.join(',')}]`);
  },
};

function windows(greeting) {
  steps.write('write for Windows', 'C:\\srv\\page.html', `${greeting}\r\n`);
  const shell = steps.powershell('ask PowerShell', 'Write-Output $args[0]');
  steps.argument(shell, greeting);
  steps.directory(shell, 'C:\\srv');
  const cmd = steps.cmd('ask cmd', 'echo off\r\nset GREETING\r\n');
  steps.environment(cmd, 'GREETING', greeting);
  if (steps.output(shell) !== greeting) {
    throw 'PowerShell says something else';
  }
  steps.reboot('restart');
}

// Ends in the way that the argument `fail` names.
function fail(how, look) {
  switch (how) {
    case 'error':
      throw new Error('told to fail: "quoted"\nand a second line, é');
    case 'crash': {
      const nothing = null;
      steps.timeout(look, nothing.seconds);
      break;
    }
    case 'late':
      steps.timeout(look, 60);
      break;
    case 'type':
      inputs.text('count');
      break;
    case 'undeclared':
      inputs.text('nothing');
      break;
    case 'negative':
      steps.output(-1);
      break;
    case 'endless':
      for (;;);
    case 'greedy': {
      const kept = [];
      for (;;) kept.push(new Uint8Array(1 << 20).fill(1));
    }
  }
}

export const tester = {
  test() {
    const page = steps.shell('the page greets', 'cat /srv/page.html');
    steps.expectOutput(page, inputs.text('greeting'));
    const swap = steps.shell('look for a swap file', 'test -e /swapfile');
    steps.tolerate(swap);
    if (steps.exitCode(swap) === 0) {
      report.failed('no swap file', 'there is /swapfile');
    } else {
      report.passed('no swap file');
    }
    report.skipped('mail', 'no mail server was asked for');
  },
};

export const repairer = {
  repair() {
    const root = machine.root();
    const look = steps.shell('look at fstab', 'grep -q no-such-disk "$ROOT/etc/fstab"');
    steps.environment(look, 'ROOT', root);
    steps.tolerate(look);
    const code = steps.exitCode(look);
    if (code === 0) {
      const mend = steps.shell('mend fstab', 'sed -i /no-such-disk/d "$ROOT/etc/fstab"');
      steps.environment(mend, 'ROOT', root);
      report.repaired('GUESTOS.Fstab', "a disk that isn't there was taken out");
    } else if (code === 1) {
      report.intact('GUESTOS.Fstab');
    } else {
      report.unrepaired('GUESTOS.Fstab', 'high', `it can't be read: exit code ${code}`);
    }
  },
};
