import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

/** One replica. Start three of them; kill the one that ticks. */
const app = await NestFactory.create(AppModule, { logger: ['error', 'warn', 'log'] });
// SIGTERM and SIGINT close the application, and closing it hands leadership over.
app.enableShutdownHooks();
await app.listen(process.env['PORT'] ?? 0, '127.0.0.1');
// Under `npm start`: do not outlive a parent that was killed.
process.once('disconnect', () => void app.close());
