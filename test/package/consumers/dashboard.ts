/** The dashboard over HTTP: its page, its data until all of it has come, a refused action, and an end with a viewer. */
import 'reflect-metadata';
import { type CanActivate, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, memoryLock } from 'nestjs-leader-election';
import { LeaderDashboardModule } from 'nestjs-leader-election/dashboard';

@Injectable()
class PasswordGuard implements CanActivate {
  canActivate(context: Parameters<CanActivate['canActivate']>[0]): boolean {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return headers['authorization'] === 'open sesame';
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({ role: 'consumer', lock: memoryLock() }),
    LeaderDashboardModule.forRoot({ guards: [PasswordGuard], actions: true }),
  ],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  const url = `${await app.getUrl()}/leader`;
  const headers = { authorization: 'open sesame' };
  const refused = await fetch(url);
  const page = await fetch(url, { headers });
  const policy = page.headers.get('content-security-policy') ?? '';
  const stream = (await fetch(`${url}/stream`, { headers })).body!.getReader();
  const decoder = new TextDecoder();
  let heard = '';
  while (!/^event: ready$/m.test(heard)) heard += decoder.decode((await stream.read()).value);
  const action = await fetch(`${url}/actions`, { method: 'POST', headers });
  const closing = app.close();
  while (!(await stream.read()).done);
  await closing;
  console.log(
    JSON.stringify({
      page: [page.status, (await page.text()).startsWith('<!doctype html>')],
      isStrict: policy.startsWith("default-src 'none'; script-src 'sha256-"),
      withoutPassword: refused.status,
      events: [...heard.matchAll(/^event: (\w+)$/gm)].map(([, event]) => event),
      action: action.status,
    }),
  );
}

void main();
